"""Entries in memory: nobody is asked for them, and none is kept that Redis would not answer any more."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from redis.asyncio import Redis

from sanicbase import get_redis, transaction
from sanicbase.cache.invalidation import WHOLE_CLASS, Invalidation
from sanicbase.cache.local import LocalEntries, LocalTier
from sanicbase.cache.model_cache import ModelCache
from sanicbase.testing.private_server import PrivateServer
from tests.cache.opening import commands, library, past_the_model
from tests.cache.places import PairRC, Place, PlaceRC, TagsRC
from tests.cache.test_entry_requests import hold
from tests.rc import kinds

MODELS = "tests.cache.places"
LONG = {"CACHE_LOCAL_MAX_LAG": 60}  # no proof is asked for during a test


@asynccontextmanager
async def places(db_url: str, redis_url: str, **settings: Any) -> AsyncIterator[LocalTier]:
    """Three places, which are in memory."""
    async with library(db_url, redis_url, models=MODELS, **{**LONG, **settings}):
        await Place.bulk_create([Place(id=n, name=f"p{n}") for n in (1, 2, 3)])
        await in_memory(1, 2, 3)
        yield tier()


async def in_memory(*keys: int) -> None:
    for _ in range(2):  # loaded, and then read from Redis
        await PlaceRC.get_many(list(keys), fresh=True)


def opened(cls: Any = PlaceRC) -> ModelCache:
    model_cache = cls._opened
    assert isinstance(model_cache, ModelCache)
    return model_cache


def tier() -> LocalTier:
    tier = opened()._epoch_client._local_tier
    assert tier is not None
    return tier


def another_process() -> Invalidation:
    """What another process sends to Redis when it has written."""
    cache = opened()
    return Invalidation(cache.keyspace, cache._epoch_client, lambda write: (), life=20, commit=2)


async def changed_elsewhere(name: str, *keys: str) -> None:
    await past_the_model("UPDATE place SET name = ? WHERE id = 1", name)
    await another_process().invalidate(keys or ("k:1",))


async def name(**options: bool) -> str:
    return (await PlaceRC.get_or_fail(1, **options)).name


async def until_it_is(expected: str) -> None:
    async with asyncio.timeout(20):
        while await name() != expected:
            await asyncio.sleep(0.005)


async def test_a_local_hit_sends_no_command(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url):
        before = (await PlaceRC.stats()).local_hits
        async with commands(redis_url) as sent:
            assert await PlaceRC.get(1) is await PlaceRC.get(1)  # shared, as nobody can change it
            assert [place and place.id for place in await PlaceRC.get_many([3, 1, 2])] == [3, 1, 2]
            assert await PlaceRC.get(True) is None
        assert sent == []
        assert (await PlaceRC.stats()).local_hits == before + 5


async def test_keys_of_several_fields_are_in_memory_as_well(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url):
        for _ in range(2):
            await PairRC.get((1, "a"), fresh=True)
        async with commands(redis_url) as sent:
            assert await PairRC.get((1, "a")) == PairRC(id=1, name="a")
            assert await PairRC.get((True, "a")) is None  # though `(True, "a") == (1, "a")`
        assert sent == []


async def test_a_missing_row_is_in_memory_as_well(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url):
        await in_memory(9)
        async with commands(redis_url) as sent:
            assert await PlaceRC.get(9) is None
        assert sent == []
        await Place.create(id=9, name="p9")
        assert await PlaceRC.get(9) == PlaceRC(id=9, name="p9")


async def test_fresh_asks_redis(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url):
        async with commands(redis_url) as sent:
            await PlaceRC.get(1, fresh=True)
            await PlaceRC.get_or_fail(1, fresh=True)
            await PlaceRC.get_many([1, 2], fresh=True)
        assert sent == ["MGET"] * 3


async def test_a_write_by_another_process_drops_the_local_entry(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url):
        await changed_elsewhere("new")
        await until_it_is("new")
        await changed_elsewhere("newer", WHOLE_CLASS)
        await until_it_is("newer")
        assert (await PlaceRC.get_or_fail(1)).name == "newer"


async def test_an_emptied_redis_empties_the_memory(db_url: str, own_redis: PrivateServer) -> None:
    async with places(db_url, kinds.url(own_redis)) as local, Redis.from_url(kinds.url(own_redis)) as redis:
        await redis.flushall()
        async with asyncio.timeout(20):
            while local.copies:
                await asyncio.sleep(0.005)
        assert await PlaceRC.get(1) is not None


WRITES: list[Callable[[str], Awaitable[Any]]] = [
    lambda new: PlaceRC.update(1, name=new),
    lambda new: Place.filter(id=1).update(name=new),
    lambda new: _saved(new),
    lambda new: _raw(new),
]


async def _saved(new: str) -> None:
    await (await PlaceRC.get_or_fail(1)).model_copy(update={"name": new}).save()


async def _raw(new: str) -> None:
    await past_the_model("UPDATE place SET name = ? WHERE id = 1", new)
    await random.choice([PlaceRC.invalidate(1), PlaceRC.invalidate_all()])


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
async def test_a_process_sees_its_own_writes_at_once(db_url: str, redis_url: str) -> None:
    """While others of its tasks read all the time."""

    async def read() -> None:
        while True:
            await PlaceRC.get(1, fresh=random.random() < 0.3)
            await asyncio.sleep(0)

    async with places(db_url, redis_url):
        readers = [asyncio.create_task(read()) for _ in range(5)]
        try:
            for number in range(60):
                await WRITES[number % len(WRITES)](f"n{number}")
                assert await name() == f"n{number}"
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)


class KeepingAll(LocalEntries[Any]):
    """The control: it keeps what was asked for before a write of this process."""

    def drop(self, keys: Any) -> None:
        super().drop(keys)
        self._dropped_at = 0.0


@pytest.mark.parametrize(("control", "kept"), [(False, "new"), (True, "p1")], ids=["ours", "a control"])
async def test_an_answer_from_before_a_write_of_this_process_is_not_kept(
    db_url: str, redis_url: str, control: bool, kept: str
) -> None:
    async with places(db_url, redis_url) as local:
        if control:
            assert opened().entries.local is not None
            opened().entries.local.__class__ = KeepingAll
        held = hold(local.requests)
        reading = asyncio.create_task(PlaceRC.get(1, fresh=True))
        while not held:
            await asyncio.sleep(0)
        await Place.filter(id=1).update(name="new")
        async with asyncio.timeout(20):
            while f"{opened().entries.entry_prefix}k:1" in local.copies:  # until the invalidation has come as well
                await asyncio.sleep(0.001)
        held.pop()()
        assert await reading == PlaceRC(id=1, name="p1")  # it has begun before the write
        local.requests._send = local._send
        assert await name() == kept


@pytest.mark.parametrize("control", [False, True], ids=["ours", "a control"])
async def test_a_fill_that_races_with_an_invalidation_is_not_kept(db_url: str, redis_url: str, control: bool) -> None:
    """The control takes its answers a moment later than the invalidations, as from two connections."""
    stale = 0
    async with places(db_url, redis_url) as local:
        if control:
            send, loop = local.requests._send, asyncio.get_running_loop()

            def later(command: bytes, answered: Callable[[Any], None]) -> None:
                def wait(answer: Any) -> None:
                    loop.call_later(random.uniform(0, 0.004), answered, answer)

                send(command, wait)

            local.requests._send = later
        for number in range(150):
            pause = random.uniform(0, 0.003)
            await asyncio.gather(PlaceRC.get(1, fresh=True), _after(pause, changed_elsewhere(f"n{number}")))
            await PlaceRC.get(2, fresh=True)  # everything that was sent before has come
            stale += await name() != f"n{number}"
    assert (stale > 0) is control


async def _after(pause: float, work: Awaitable[None]) -> None:
    await asyncio.sleep(pause)
    await work


async def test_a_lost_connection_empties_the_memory(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url) as local:
        number = asyncio.get_running_loop().create_future()
        local._connection.send(b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n", number.set_result)
        await get_redis().client_kill_filter(_id=str(await number))
        async with asyncio.timeout(20):
            while local.copies:
                await asyncio.sleep(0.005)
        await changed_elsewhere("new")
        assert await name() == "new"
        await in_memory(1)
        assert local.copies
        await changed_elsewhere("newer")  # the next connection is told as well
        await until_it_is("newer")


@pytest.mark.parametrize("max_lag", [0.3, 60], ids=["ours", "a control"])
async def test_without_a_sign_of_redis_nothing_in_memory_counts(
    db_url: str, own_redis: PrivateServer, max_lag: float
) -> None:
    """The control waits a minute for one. As long as Redis is frozen, no invalidation can come."""
    timeouts = {"CACHE_TIMEOUT": 30, "CACHE_LOCAL_MAX_LAG": max_lag}  # the epoch does not end before
    async with places(db_url, kinds.url(own_redis), **timeouts) as local:
        with own_redis.frozen():
            silent_since = monotonic()
            while monotonic() < silent_since + 0.5:
                await asyncio.sleep(0.02)
            reading = asyncio.create_task(PlaceRC.get(1))
            for _ in range(5):
                await asyncio.sleep(0)
            assert reading.done() == (max_lag == 60)  # else it waits for Redis
            assert (local.valid_until > monotonic()) == (max_lag == 60)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def test_proofs_keep_unread_entries_out_of_redis(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url, CACHE_LOCAL_MAX_LAG=0.4) as local:
        first = local.valid_until
        async with asyncio.timeout(20):
            while local.valid_until < first + 1:
                await asyncio.sleep(0.01)
        assert len(local.copies) == 3


async def test_a_process_that_distrusts_redis_uses_nothing_in_memory(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url):
        await past_the_model("UPDATE place SET name = 'new' WHERE id = 1")
        opened()._epoch_client.epoch = None
        assert await name() == "new"


async def test_memory_is_bounded_in_entries(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url, CACHE_LOCAL_ENTRIES=10) as local:
        await Place.bulk_create([Place(id=n, name=f"p{n}") for n in range(10, 60)])
        for number in range(10, 60):
            await PlaceRC.get(1)  # what is read stays
            await in_memory(number)
            assert len(local.copies) <= 10
        async with commands(redis_url) as sent:
            await PlaceRC.get(1)
        assert sent == []


async def test_memory_is_bounded_in_bytes(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url, CACHE_LOCAL_BYTES=5000) as local:
        await Place.bulk_create([Place(id=n, name=f"p{n}") for n in range(10, 60)])
        for number in range(10, 60):
            await in_memory(number)
            assert sum(copy.size for copy in local.copies.values()) == local._size <= 5000
        assert 1 < len(local.copies) < 5


async def test_no_caller_can_change_the_lists_and_dictionaries_of_another(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url):
        for fresh in (True, True, False, False):  # loaded, from Redis, and from memory
            entries = await asyncio.gather(*(TagsRC.get(1, fresh=fresh) for _ in range(3)))
            assert entries == [TagsRC(id=1, tags=["a"], facts={"deep": [{"n": 1}]})] * 3
            for entry in entries:
                assert entry is not None
                entry.tags.append("b")
                entry.facts["deep"][0]["n"] = 2
        assert (await TagsRC.stats()).local_hits == 6


async def test_inside_of_a_transaction_memory_is_not_used(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url):
        async with transaction():
            await Place.filter(id=1).update(name="inside")
            assert await name() == "inside"
            assert await PlaceRC.get_many([1]) == [PlaceRC(id=1, name="inside")]
        assert await name() == "inside"


async def test_a_refreshed_entry_is_that_of_its_source(db_url: str, redis_url: str) -> None:
    async with places(db_url, redis_url):
        await past_the_model("UPDATE place SET name = 'new' WHERE id = 1")
        assert await name() == "p1"
        await PlaceRC.refresh(1)
        assert await name() == "new"


async def test_without_tracking_nothing_is_kept(
    db_url: str, own_redis: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "sanicbase.cache")
    url = kinds.url(own_redis)
    async with Redis.from_url(url) as redis:
        await redis.execute_command("ACL", "SETUSER", "limited", "on", ">x", "~*", "&*", "+@all", "-client|tracking")
    async with places(db_url, url.replace("redis://", "redis://limited:x@"), primary=url) as local:
        assert local.copies == {}
        await changed_elsewhere("new")
        assert await name() == "new"
    assert caplog.text.count("Redis does not track keys") == 1


async def test_a_url_that_asks_for_an_older_protocol_has_invalidations(db_url: str, redis_url: str) -> None:
    """In RESP2, Redis tracks keys without telling anybody."""
    async with places(db_url, f"{redis_url}?protocol=2", primary=redis_url) as local:
        assert local.copies
        await changed_elsewhere("new")
        await until_it_is("new")
