"""Jobs that are committed with the data: neither is there without the other, whatever happens in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tortoise import Tortoise

from sanicbase import ConfigError, IntegrityError, SanicBaseError, get_redis, job, lifespan, on_commit, transaction
from sanicbase.jobs import JobArgumentsInvalid, outbox
from sanicbase.jobs.completion import check_completions, complete_once
from sanicbase.jobs.message import Labels
from sanicbase.jobs.outbox import _Relay
from sanicbase.jobs.queues.opening import open_queue, redis_of_jobs
from sanicbase.jobs.queues.redis_queue import RedisQueue
from tests.jobs.ordering import Completed, Order, OrderingConfig, Outbox
from tests.jobs.running import until, working

STORES = [
    pytest.param("sqlite", marks=pytest.mark.xdist_group("embedded")),
    pytest.param("postgres", marks=pytest.mark.xdist_group("postgres")),
    pytest.param("mysql", marks=pytest.mark.xdist_group("mysql")),
]


@pytest.fixture(params=STORES)
async def config(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    redis_url: str,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[OrderingConfig]:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO", "sanicbase.jobs")
    outbox._relays.clear()  # which remember a failure of the last test
    kind: str = request.param
    url = f"sqlite://{tmp_path / 'shop.sqlite3'}" if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")
    async with lifespan(OrderingConfig(DB_URL=url, REDIS_URL=redis_url), check=False):
        await Tortoise.generate_schemas()
        yield OrderingConfig(DB_URL=url, REDIS_URL=redis_url)


only_sqlite = pytest.mark.parametrize("config", STORES[:1], indirect=True)
only_servers = pytest.mark.parametrize("config", STORES[1:], indirect=True)

ran: list[int] = []


@pytest.fixture(autouse=True)
def nothing_has_run() -> None:
    ran.clear()


@job(name="mail")
async def mail(order: int) -> None:
    ran.append(order)


@job(name="count_once", once=True, retries=3, backoff=0.05)
async def count_once(order: int) -> None:
    row = await Order.get(id=order)
    await Order.filter(id=order).update(mails=row.mails + 1)
    ran.append(order)


async def waiting() -> int:
    redis: Any = get_redis()
    return int(await redis.xlen("{shop:jobs:default}:stream"))


@pytest.fixture
def nobody_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is gone after the commit: its effects do not run."""
    monkeypatch.setattr(_Relay, "wake", lambda relay: None)


async def test_a_job_of_a_transaction_runs_when_it_has_committed_and_not_after_a_rollback(
    config: OrderingConfig,
) -> None:
    async with working(config, mail):
        with pytest.raises(LookupError):
            async with transaction():
                await Order.create(id=1)
                await mail.enqueue(1)
                raise LookupError
        async with transaction():
            await Order.create(id=2)
            await mail.enqueue(2)
            assert await waiting() == 0
            assert await Outbox.all().count() == 1
            with pytest.raises(IntegrityError):
                async with transaction():
                    await mail.enqueue(3)
                    await Order.create(id=2)
        await until(lambda: ran)
    assert ran == [2]
    assert await Outbox.all().count() == 0


@pytest.mark.usefixtures("nobody_wakes")
async def test_a_process_killed_after_the_commit_loses_no_job_and_an_effect_is_lost(config: OrderingConfig) -> None:
    async with transaction():
        await mail.enqueue(1)
    assert [await waiting(), await Outbox.all().count()] == [0, 1]
    relays = asyncio.create_task(outbox.run_relays())
    async with working(config, mail):
        await until(lambda: ran)
    relays.cancel()
    assert await Outbox.all().count() == 0


async def test_a_relay_killed_between_sending_and_deleting_sends_no_job_twice(
    config: OrderingConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    delete = _Relay._delete

    async def die(relay: _Relay, rows: Any) -> None:
        raise ConnectionResetError("killed")

    monkeypatch.setattr(_Relay, "_delete", die)
    async with transaction():
        for order in range(5):
            await mail.enqueue(order)
    await until(lambda: "Jobs wait in the outbox" in caplog.text)
    assert [await waiting(), await Outbox.all().count()] == [5, 5]
    monkeypatch.setattr(_Relay, "_delete", delete)
    await _Relay(Outbox).drain()
    assert [await waiting(), await Outbox.all().count()] == [5, 0]


@pytest.mark.usefixtures("nobody_wakes")
async def test_relays_at_once_send_each_job_once(config: OrderingConfig) -> None:
    async with transaction():
        for order in range(250):
            await mail.enqueue(order)
    await asyncio.gather(*(_Relay(Outbox).drain() for _ in range(3)))
    await _Relay(Outbox).drain()
    assert [await waiting(), await Outbox.all().count()] == [250, 0]


@only_servers
@pytest.mark.usefixtures("nobody_wakes")
async def test_others_enqueue_while_a_relay_sends(config: OrderingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    sending, go_on = asyncio.Event(), asyncio.Event()
    send = outbox._send_all

    async def wait(rows: Any) -> Any:
        sending.set()
        await go_on.wait()
        return await send(rows)

    async with transaction():
        await mail.enqueue(1)
    monkeypatch.setattr(outbox, "_send_all", wait)
    relay = asyncio.create_task(_Relay(Outbox).drain())
    await sending.wait()
    async with transaction(timeout=10):
        await mail.enqueue(2)
    go_on.set()
    await relay
    assert [await waiting(), await Outbox.all().count()] == [1, 1]


@only_sqlite
async def test_jobs_wait_in_the_database_while_redis_is_away(
    config: OrderingConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(name: str) -> Any:
        raise ConnectionRefusedError("away")

    monkeypatch.setattr(outbox, "open_queue", away)
    async with transaction():
        await mail.enqueue(1)
    await until(lambda: "Jobs wait in the outbox" in caplog.text)
    await _Relay(Outbox).drain()
    assert await Outbox.all().count() == 1
    monkeypatch.setattr(outbox, "open_queue", open_queue)
    await _Relay(Outbox).drain()
    assert [await waiting(), await Outbox.all().count()] == [1, 0]


async def test_rows_that_reached_a_slow_server_are_not_sent_again(
    config: OrderingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    class Slow(RedisQueue):
        async def push_data(self, job_id: str, data: bytes, labels: Labels, *, known_for: int = 0) -> str:
            sent.append(job_id)
            if len(sent) == 3:
                await asyncio.sleep(60)
            return await super().push_data(job_id, data, labels, known_for=known_for)

    monkeypatch.setattr(outbox._Relay, "wake", lambda relay: None)
    async with transaction():
        for order in range(4):
            await mail.enqueue(order)
    monkeypatch.setattr(outbox, "SEND_TIMEOUT", 1.0)
    monkeypatch.setattr(outbox, "open_queue", lambda name: Slow(*redis_of_jobs(), "shop", name))
    await _Relay(Outbox).drain()
    assert await Outbox.all().count() == 2
    await _Relay(Outbox).drain()
    assert await Outbox.all().count() == 0
    assert len(sent) == 5  # the third one twice: nobody knows whether it arrived
    assert len(set(sent)) == 4


@only_sqlite
async def test_a_damaged_row_does_not_stop_the_others(config: OrderingConfig) -> None:
    await Outbox.create(queue="default", message="{")
    async with transaction():
        await mail.enqueue(1)
    async with working(config, mail):
        await until(lambda: ran)
    redis: Any = get_redis()
    assert await redis.hlen("{shop:jobs:default}:letters") == 1


@only_sqlite
async def test_any_message_can_be_sent_by_its_topic(config: OrderingConfig) -> None:
    async with transaction():
        await outbox.add("mail", {"order": 7})
    await outbox.add("mail", {"order": 8})
    async with working(config, mail):
        await until(lambda: len(ran) == 2)
    assert sorted(ran) == [7, 8]
    with pytest.raises(JobArgumentsInvalid, match="The payload for mail is invalid: Type is not JSON serializable"):
        await outbox.add("mail", {"order": object()})
    with pytest.raises(JobArgumentsInvalid, match="and 262144 are allowed"):
        await outbox.add("mail", {"order": "x" * 300_000})


async def test_a_repeated_run_writes_once(config: OrderingConfig) -> None:
    await Order.create(id=1)
    job_id = await count_once.enqueue(1)
    taken = await open_queue("default").take("killed after its commit", takes_over=False)
    assert isinstance(taken, list)
    first = taken[0]
    assert await complete_once(count_once, job_id, partial(count_once.function, 1))
    await open_queue("default").push_data("copy", first.data, Labels())
    async with working(config, count_once):
        await until(lambda: caplog_has("was completed by an earlier run"))
    assert (await Order.get(id=1)).mails == 1
    assert ran == [1]


lines: list[str] = []


def caplog_has(text: str) -> bool:
    return any(text in line for line in lines)


@pytest.fixture(autouse=True)
def collect_lines() -> Any:
    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Collect()
    lines.clear()
    logging.getLogger("sanicbase.jobs").addHandler(handler)
    yield
    logging.getLogger("sanicbase.jobs").removeHandler(handler)


async def test_two_runs_at_once_write_once(config: OrderingConfig) -> None:
    await Order.create(id=1)

    async def run() -> bool:
        return await complete_once(count_once, "1", partial(count_once.function, 1))

    results = await asyncio.gather(*(run() for _ in range(4)), return_exceptions=True)
    assert sorted(map(str, results)) == ["False", "False", "False", "True"]
    assert (await Order.get(id=1)).mails == 1
    assert await Completed.all().count() == 1


async def test_a_failure_of_a_job_with_once_leaves_nothing_behind(config: OrderingConfig) -> None:
    async def fail() -> None:
        await Order.create(id=1)
        await Order.create(id=1)

    with pytest.raises(IntegrityError):
        await complete_once(count_once, "1", fail)
    assert [await Order.all().count(), await Completed.all().count()] == [0, 0]


async def test_without_an_outbox_a_transaction_refuses_jobs_with_an_error_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with lifespan(OrderingConfig(REDIS_URL=redis_url, MODULES=[])):
        with pytest.raises(SanicBaseError, match="that database has no outbox"):
            async with transaction():
                await mail.enqueue(1)
        with pytest.raises(ConfigError, match="The job count_once has `once`, but the database default has no table"):
            check_completions([count_once])
        assert await waiting() == 0


@only_sqlite
async def test_an_effect_that_enqueues_sends_at_once(config: OrderingConfig) -> None:
    async with transaction():
        await on_commit(partial(mail.enqueue, 1))
    assert [await waiting(), await Outbox.all().count()] == [1, 0]
