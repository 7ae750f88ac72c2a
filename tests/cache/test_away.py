"""Redis restarted, frozen, emptied, out of reach or full: no read fails, none is wrong, and the database is spared."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import pytest
from redis.asyncio import Redis

from sanicbase import ResourceError, spawn, transaction
from sanicbase.cache.epoch import EPOCH_TTL, EpochClient
from sanicbase.cache.model_cache import ModelCache
from sanicbase.rc.multiplexed import pack
from sanicbase.testing.private_server import PrivateServer
from tests.cache.models import AuthorRC
from tests.cache.opening import commands, library, past_the_model
from tests.db.library import Author
from tests.rc import kinds

BRIEF: dict[str, Any] = {"CACHE_TIMEOUT": 0.1, "DB_STATEMENT_TIMEOUT": 1, "CACHE_CLOSED_TTL": 3}


@pytest.fixture
async def served(db_url: str, own_redis: PrivateServer) -> AsyncIterator[None]:
    """A library on the test's own Redis, with a row that is cached."""
    async with library(db_url, kinds.url(own_redis), **BRIEF):
        await Author.create(id=1, name="ann")
        await AuthorRC.get(1)
        yield


def opened_client() -> EpochClient:
    assert isinstance(AuthorRC._opened, ModelCache)
    return AuthorRC._opened._epoch_client


async def name() -> str:
    return (await AuthorRC.get_or_fail(1)).name


async def eventually_cached(redis_url: str) -> None:
    """Wait until a read is answered by Redis alone."""
    deadline = monotonic() + 10
    while monotonic() < deadline:
        await AuthorRC.get(1)
        async with commands(redis_url) as sent:
            await AuthorRC.get(1)
        if sent == ["MGET"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("It is not cached any more.")


async def test_reads_and_writes_succeed_while_redis_is_frozen(served: None, own_redis: PrivateServer) -> None:
    with own_redis.frozen():
        assert await name() == "ann"
        await Author.filter(id=1).update(name="bea")
        assert await name() == "bea"
        await past_the_model("UPDATE author SET name = 'cleo' WHERE id = 1")
        assert await name() == "cleo"
        await Author.filter(id=1).update(name="dora")
    for _ in range(20):
        assert await name() == "dora"
        await asyncio.sleep(0.02)
    await eventually_cached(kinds.url(own_redis))
    assert await name() == "dora"


async def test_a_short_freeze_forgets_nothing(served: None, own_redis: PrivateServer) -> None:
    with own_redis.frozen():
        assert await name() == "ann"
    async with commands(kinds.url(own_redis)) as sent, asyncio.timeout(10):
        while "MGET" not in sent:  # on a new connection, where one was lost
            assert await name() == "ann"
            await asyncio.sleep(0.01)
    assert "LEASE" not in sent


async def test_a_command_that_is_not_answered_fails_with_those_behind_it(served: None) -> None:
    """Although the timer was started for an earlier command, which was answered."""
    client, answers = opened_client(), asyncio.Queue[Any]()

    async def answer_to(*command: str | int) -> Any:
        client._send(pack(*command), answers.put_nowait)
        return await answers.get()

    for _ in range(3):  # the next connection is another one
        while await answer_to("ECHO", "one") != b"one":  # the machine may be busy elsewhere
            pass
        client._send(pack("BLPOP", "nothing", 0), answers.put_nowait)
        assert await answer_to("ECHO", "two") is None
        assert await answers.get() is None
        assert answers.empty()


async def test_a_write_waits_for_a_redis_that_is_frozen_for_a_moment(served: None, own_redis: PrivateServer) -> None:
    with own_redis.frozen():
        writing = asyncio.create_task(AuthorRC.update(1, name="bea"))
        assert await name() in ("ann", "bea")  # a read does not wait so long
        assert not writing.done()
    assert await writing == AuthorRC(id=1, name="bea")
    assert await name() == "bea"


async def test_a_restart_loses_no_read_and_no_write(served: None, own_redis: PrivateServer) -> None:
    failures: list[BaseException] = []
    errors: list[str] = []

    async def keep_reading() -> None:
        while True:
            try:
                errors.append(await name())
            except Exception as exc:
                failures.append(exc)
            await asyncio.sleep(0.005)

    async def read_on(times: int) -> None:
        enough = len(errors) + times
        async with asyncio.timeout(30):
            while len(errors) < enough:
                await asyncio.sleep(0.005)

    readers = [asyncio.create_task(keep_reading()) for _ in range(5)]
    await read_on(50)
    await asyncio.to_thread(own_redis.restart)
    await Author.filter(id=1).update(name="bea")
    start = len(errors)
    await read_on(100)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert not failures
    assert set(errors[start + 5 :]) == {"bea"}
    await eventually_cached(kinds.url(own_redis))
    assert await name() == "bea"


async def test_an_emptied_redis_is_settled_before_it_is_filled(served: None, own_redis: PrivateServer) -> None:
    async with Redis.from_url(kinds.url(own_redis)) as redis:
        await redis.flushall()
        await past_the_model("UPDATE author SET name = 'bea' WHERE id = 1")
        assert await name() == "bea"
        await past_the_model("UPDATE author SET name = 'cleo' WHERE id = 1")
        assert await name() == "cleo"  # nothing was stored
        async with asyncio.timeout(5):
            while (left := await redis.pttl("library:rc:settling")) < 0:  # until the next beat has come
                await asyncio.sleep(0.01)
        assert left <= 3000
    await eventually_cached(kinds.url(own_redis))


async def test_entries_closed_in_an_emptied_redis_are_dropped_at_the_end(
    postgres_url: str, own_redis: PrivateServer
) -> None:
    async with library(postgres_url, kinds.url(own_redis), **BRIEF):
        await Author.create(id=1, name="ann")
        async with Redis.from_url(kinds.url(own_redis)) as redis, transaction():
            await Author.filter(id=1).update(name="bea")
            await redis.flushall()
            assert [await spawn(name()) for _ in range(3)] == ["ann"] * 3
        assert await name() == "bea"


async def test_a_new_process_waits_for_the_others_after_redis_was_emptied(
    db_url: str, own_redis: PrivateServer
) -> None:
    async with library(db_url, kinds.url(own_redis), **BRIEF):
        await Author.create(id=1, name="ann")
        async with Redis.from_url(kinds.url(own_redis)) as redis:
            await redis.flushall()
            run = (await redis.info("server"))["run_id"]
            await redis.set("library:rc:server", run)
            await redis.set("library:rc:epoch", "f12345678", px=1000)  # as another process makes it
            async with asyncio.timeout(10):
                while await redis.getrange("library:rc:epoch", 0, 0) != b"e":
                    assert await name() == "ann"
                    await asyncio.sleep(0.02)
            assert await redis.pttl("library:rc:settling") > 1000


async def test_a_spawned_write_is_announced_even_if_the_service_stops(db_url: str, own_redis: PrivateServer) -> None:
    url = kinds.url(own_redis)

    async def late() -> None:
        await asyncio.sleep(0.3)
        await Author.filter(id=1).update(name="bea")

    async with library(db_url, url, **BRIEF):
        await Author.create(id=1, name="ann")
        await AuthorRC.get(1)
        spawn(late())
    async with library(db_url, url, schema=False, **BRIEF):
        assert await name() == "bea"


async def test_nothing_of_before_a_long_freeze_counts_afterwards(served: None, own_redis: PrivateServer) -> None:
    with own_redis.frozen():
        await asyncio.sleep(EPOCH_TTL + 0.3)  # an epoch expires in Redis without a heartbeat
        await past_the_model("UPDATE author SET name = 'bea' WHERE id = 1")
    assert await name() == "bea"


async def test_the_first_read_waits_a_tenth_of_a_second_and_the_next_ones_not_at_all(
    served: None, own_redis: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sanicbase.cache")
    with own_redis.frozen():
        await name()
        sent = len(caplog.records)
        async with asyncio.timeout(5):
            for _ in range(100):  # a tenth of a second each would be ten
                await name()
        assert len(caplog.records) == sent == 1
        assert "does not answer" in caplog.text
        assert "cache models read the database" in caplog.text
    await eventually_cached(kinds.url(own_redis))
    assert [record.message.count("answers;") for record in caplog.records[1:]] == [1]


async def test_equal_reads_share_their_queries_while_redis_is_away(
    served: None, own_redis: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = 0
    ask = ModelCache._rows_of

    async def slow(self: ModelCache, index: object, keys: object) -> object:
        nonlocal queries
        queries += 1
        await asyncio.sleep(0.05)
        return await ask(self, index, keys)  # type: ignore[arg-type]

    with own_redis.frozen():
        await name()
        monkeypatch.setattr(ModelCache, "_rows_of", slow)
        start = monotonic()

        async def read(after: float) -> str:
            await asyncio.sleep(after)
            return await name()

        names = await asyncio.gather(*(read(n / 1000) for n in range(200)))
        duration = monotonic() - start
    assert set(names) == {"ann"}
    assert queries <= duration / 0.05 + 1


async def test_a_redis_that_is_full_is_not_trusted(served: None, own_redis: PrivateServer) -> None:
    async with Redis.from_url(kinds.url(own_redis)) as redis:
        await redis.config_set("maxmemory", "1")
        await Author.filter(id=1).update(name="bea")
        for _ in range(10):
            assert await name() == "bea"
        await past_the_model("UPDATE author SET name = 'cleo' WHERE id = 1")
        assert await name() == "cleo"
        await redis.config_set("maxmemory", "0")
    await eventually_cached(kinds.url(own_redis))
    assert await name() == "cleo"


async def test_a_redis_that_refuses_all_writes_keeps_the_row_as_it_is(served: None, own_redis: PrivateServer) -> None:
    async with Redis.from_url(kinds.url(own_redis)) as redis:
        await redis.config_set("min-replicas-to-write", "1")
        with pytest.raises(ResourceError, match="so the write was not executed"):
            await Author.filter(id=1).update(name="bea")
        assert await name() == "ann"
        assert (await Author.get(id=1)).name == "ann"
        await redis.config_set("min-replicas-to-write", "0")
    await Author.filter(id=1).update(name="bea")
    assert await name() == "bea"


async def test_the_last_process_to_stop_keeps_the_cache_warm_for_the_next(
    db_url: str, own_redis: PrivateServer
) -> None:
    url = kinds.url(own_redis)
    async with library(db_url, url, **BRIEF):
        await Author.create(id=1, name="ann")
        await AuthorRC.get(1)
    await asyncio.sleep(EPOCH_TTL + 0.3)  # an epoch expires in Redis without a heartbeat
    async with library(db_url, url, schema=False, **BRIEF), commands(url) as sent:
        assert await name() == "ann"
    assert "MGET" in sent
    assert "LEASE" not in sent


async def test_a_killed_process_leaves_nothing(db_url: str, own_redis: PrivateServer) -> None:
    url = kinds.url(own_redis)
    async with library(db_url, url, **BRIEF):
        await Author.create(id=1, name="ann")
        await AuthorRC.get(1)
        async with Redis.from_url(url) as redis:
            await redis.sadd("library:rc:members", "killed")
    await asyncio.sleep(EPOCH_TTL + 0.3)  # an epoch expires in Redis without a heartbeat
    async with library(db_url, url, schema=False, **BRIEF):
        await past_the_model("UPDATE author SET name = 'bea' WHERE id = 1")
        assert await name() == "bea"


async def test_a_blocked_event_loop_forgets_nothing(
    db_url: str, own_redis: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = kinds.url(own_redis)
    async with library(db_url, url):
        await Author.create(id=1, name="ann")
        await AuthorRC.get(1)
        time.sleep(2 * EPOCH_TTL)  # noqa: ASYNC251  (as a handler does that is slow)
        async with commands(url) as sent:
            assert await name() == "ann"
    assert sent[-1] == "MGET"
    assert "LEASE" not in sent
    assert not [record for record in caplog.records if record.name == "sanicbase.cache"]


async def test_a_failover_that_forgets_what_was_closed_forgets_the_cache(
    db_url: str, sentinels: kinds.Sentinels
) -> None:
    async with library(db_url, sentinels.url, primary=kinds.url(sentinels.master()), **BRIEF):
        await Author.create(id=1, name="ann")
        await AuthorRC.get(1)
        await asyncio.to_thread(sentinels.settled)
        await asyncio.to_thread(sentinels.fail_over)
        await past_the_model("UPDATE author SET name = 'bea' WHERE id = 1")  # as if the closing had been lost
        assert await name() == "bea"
        await AuthorRC.update(1, name="cleo")
        assert await name() == "cleo"
