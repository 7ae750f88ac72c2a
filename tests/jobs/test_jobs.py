"""Jobs in one process: what is enqueued runs, again after a failure, and later when it is delayed."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, Field

from sanicbase import Config, ConfigError, NotOpenError, ResourceError, get_redis, lifespan
from sanicbase.jobs import JobArgumentsInvalid, JobRun, current_job, job
from sanicbase.jobs import broker as broker_module
from sanicbase.jobs.declaration import check_jobs
from sanicbase.jobs.message import JobMessage
from sanicbase.jobs.payload import MAX_PAYLOAD
from sanicbase.jobs.queues import redis_queue
from sanicbase.jobs.queues.interface import Taken
from sanicbase.jobs.queues.opening import open_queue
from sanicbase.jobs.queues.redis_queue import RedisQueue
from sanicbase.testing.plugin import _or_skip
from tests.jobs.running import until, working
from tests.rc import kinds


class ShopConfig(Config):
    SERVER_NAME = "shop"


@pytest.fixture
async def config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Config]:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO", "sanicbase.jobs")
    config = ShopConfig(REDIS_URL=redis_url, GRACEFUL_SHUTDOWN_TIMEOUT=0.5)
    async with lifespan(config):
        yield config


class Item(BaseModel):
    key: UUID
    count: Annotated[int, Field(ge=1)] = 1


ran: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_has_run() -> None:
    ran.clear()


@job(retries=2, backoff=0.05)
async def note(value: int, when: datetime | None = None, items: list[Item] = []) -> None:  # noqa: B006
    ran.append((value, when, items))


@job(name="failing", retries=2, backoff=[0.01])
async def fail(message: str) -> None:
    ran.append(current_job().attempt)
    raise LookupError(message)


@job(unique=["value"])
async def unique(value: int, other: str = "") -> None:
    ran.append((value, other))


async def stored(part: str, queue: str = "default") -> Any:
    redis: Any = get_redis()
    key = f"{{shop:jobs:{queue}}}:{part}"
    kind = (await redis.type(key)).decode()
    counts = {"stream": redis.xlen, "zset": redis.zcard, "hash": redis.hlen}
    return await counts[kind](key) if kind in counts else 0


async def letters(queue: str = "default") -> list[dict[str, Any]]:
    redis: Any = get_redis()
    return [json.loads(letter) for letter in await redis.hvals(f"{{shop:jobs:{queue}}}:letters")]


async def test_a_job_runs_with_the_arguments_that_it_was_enqueued_with(config: Config) -> None:
    key, when = uuid4(), datetime(2026, 1, 1, tzinfo=UTC)
    await note.enqueue(7, when=when, items=[Item(key=key, count=2)])
    async with working(config, note):
        await until(lambda: ran)
    assert ran == [(7, when, [Item(key=key, count=2)])]
    assert await stored("stream") == 0


async def test_calling_a_job_runs_it_here(config: Config) -> None:
    await note(3)
    assert ran == [(3, None, [])]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'value'"),
        ((1,), {"colour": "red"}, "got an unexpected keyword argument 'colour'"),
        (("seven",), {}, "value: Input should be a valid integer"),
        ((1,), {"items": [{"key": "x"}]}, "items.0.key: Input should be a valid UUID"),
        (
            (1,),
            {"items": [Item(key=uuid4())] * 5000},
            f"and {MAX_PAYLOAD} are allowed. Store them, and pass their key.",
        ),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_with_an_error_message(
    config: Config, args: Any, kwargs: Any, message: str
) -> None:
    with pytest.raises(
        JobArgumentsInvalid, match=r"The arguments of the job tests\.jobs\.test_jobs\.note are invalid"
    ) as refused:
        await note.enqueue(*args, **kwargs)
    assert message in str(refused.value)
    assert await stored("stream") == 0


async def no_annotation(value) -> None: ...  # type: ignore[no-untyped-def]


async def variadic(*values: int) -> None: ...


def not_async() -> None: ...


@pytest.mark.parametrize(
    ("function", "options", "reason"),
    [
        (no_annotation, {}, "its parameter value has no annotation"),
        (variadic, {}, "its parameter values has no name in a message: write plain parameters"),
        (not_async, {}, "its function is not an `async def`. If it computes for long, declare `process=True`"),
        (note.function, {"process": True}, "`process` is for a plain `def`: a process has no event loop"),
        (
            not_async,
            {"process": True, "once": True},
            "a job with `process` cannot have `once`: its process has no database",
        ),
        (note.function, {"queue": "Mail!"}, "`queue` must have 1 to 40 lowercase letters, digits, - or _"),
        (note.function, {"retries": -1}, "`retries` must be from 0 to 1000"),
        (note.function, {"timeout": 0}, "`timeout` must be above 0"),
        (note.function, {"timeout": "soon"}, "`timeout`: write a number with a unit, such as 30s, 10m, 2h or 7d"),
        (note.function, {"backoff": []}, "`backoff` is empty"),
        (note.function, {"unique": ["key"]}, "`unique` names no parameter: key"),
    ],
)
def test_an_invalid_job_is_refused_with_an_error_message(function: Any, options: Any, reason: str) -> None:
    declare: Any = job
    with pytest.raises(ConfigError) as refused:
        declare(**options)(function)
    assert str(refused.value).endswith(f": {reason}.")


async def test_a_failed_job_runs_again_and_then_is_a_dead_letter_with_its_traceback(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    await fail.enqueue("password=hunter2 is wrong")
    async with working(config, fail):
        await until(lambda: len(ran) == 3)
        await until(lambda: "it is now a dead letter" in caplog.text)
    assert ran == [1, 2, 3]
    (letter,) = await letters()
    assert letter["reason"].startswith("LookupError: ")
    assert "hunter2" not in letter["reason"]
    assert "in fail" in letter["trace"]
    assert "hunter2" not in letter["trace"]
    assert [await stored("stream"), await stored("delayed"), await stored("jobs")] == [0, 0, 0]


async def test_every_run_is_one_line_with_what_when_how_long_and_how_it_ended(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await note.enqueue(1)
    async with working(config, note):
        await until(lambda: "succeeded" in caplog.text)
    (record,) = [record for record in caplog.records if record.getMessage().startswith("The job ")]
    assert record.levelno == logging.INFO
    fields = vars(record)
    assert fields["job"] == note.name
    assert (fields["queue"], fields["attempt"], fields["outcome"]) == ("default", 1, "succeeded")
    assert fields["due"] <= fields["started"]
    assert fields["seconds"] >= 0
    assert job_id


async def test_a_delayed_job_waits_for_its_time(config: Config) -> None:
    await note.delayed(timedelta(seconds=1)).enqueue(1)
    await note.at(datetime.now(UTC) + timedelta(hours=1)).enqueue(2)
    assert [await stored("stream"), await stored("delayed")] == [0, 2]
    began = time.monotonic()
    async with working(config, note):
        await until(lambda: ran)
    assert time.monotonic() - began > 0.5
    assert [value for value, *_ in ran] == [1]
    assert await stored("delayed") == 1


@pytest.mark.parametrize("delay", [-1, float("nan"), "10 minutes", "9999999d"])
def test_an_invalid_delay_is_refused(delay: Any) -> None:
    with pytest.raises(ValueError, match="The delay"):
        note.delayed(delay)
    with pytest.raises(ValueError, match="no time zone"):
        note.at(datetime(2026, 1, 1))  # noqa: DTZ001


async def test_a_unique_job_waits_once_and_may_be_enqueued_again_when_it_has_run(config: Config) -> None:
    first = await unique.enqueue(1, "a")
    assert await unique.enqueue(1, "b") == first
    assert await unique.enqueue(2) != first
    async with working(config, unique):
        await until(lambda: len(ran) == 2)
    assert ran == [(1, "a"), (2, "")]
    assert await stored("unique") == 0
    assert await unique.enqueue(1) != first


async def test_a_job_that_takes_too_long_is_cancelled_and_has_failed(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    @job(timeout=0.05, retries=0)
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ran.append("ended")

    await slow.enqueue()
    async with working(config, slow):
        await until(lambda: "dead letter" in caplog.text)
    assert ran == ["ended"]
    (letter,) = await letters()
    assert letter["reason"] == "TimeoutError: It took longer than 0.05 seconds."


async def test_a_job_may_not_end_its_worker(config: Config) -> None:
    @job(retries=0)
    async def leave() -> None:
        raise SystemExit(3)

    await leave.enqueue()
    await note.enqueue(1)
    async with working(config, leave, note):
        await until(lambda: ran)
    (letter,) = await letters()
    assert letter["reason"] == "RuntimeError: It called sys.exit(3)."


async def test_at_most_so_many_jobs_run_at_once(config: Config) -> None:
    now, most, done = 0, 0, 0

    @job
    async def count() -> None:
        nonlocal now, most, done
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        done += 1

    for _ in range(20):
        await count.enqueue()
    async with working(config, count, concurrency=3):
        await until(lambda: done == 20)
    assert most == 3


async def test_jobs_of_all_queues_run(config: Config) -> None:
    @job(queue="mail", name="mail")
    async def mail(value: int) -> None:
        ran.append(value)

    for value in range(3):
        await mail.enqueue(value)
        await note.enqueue(value)
    assert [await stored("stream", "mail"), await stored("stream")] == [3, 3]
    async with working(config, mail, note):
        await until(lambda: len(ran) == 6)


async def test_an_unknown_job_is_put_back_for_a_newer_worker(
    config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "UNKNOWN_PAUSE", 0.1)
    await note.enqueue(1)
    async with working(config, fail):
        await until(lambda: "which this worker does not know" in caplog.text)
    async with working(config, note):
        await until(lambda: ran)
    assert [value for value, *_ in ran] == [1]


@pytest.mark.parametrize(
    "message",
    [
        b"\x80\x04K\x01.",
        b"{",
        b"[]",
        b'{"task_id": "1", "task_name": "x", "args": [1], "kwargs": {}}',
        b'{"task_id": "../..", "task_name": "x", "kwargs": {}}',
        b'{"task_id": "1", "task_name": "x", "kwargs": {}, "labels": {"attempt": -1}}',
        b'{"task_id": "1", "task_name": "x", "kwargs": {"a": "' + b"x" * 600_000 + b'"}}',
    ],
)
async def test_an_invalid_message_is_a_dead_letter_and_the_next_job_runs(config: Config, message: bytes) -> None:
    redis: Any = get_redis()
    await redis.xadd("{shop:jobs:default}:stream", {"id": "poison", "message": message})
    await note.enqueue(1)
    async with working(config, note):
        await until(lambda: ran)
    (letter,) = await letters()
    assert letter["reason"].startswith(("It is not the message of a job: ", "The message has 600"))
    assert await stored("stream") == 0


async def test_arguments_of_another_version_are_a_dead_letter_with_an_error_message(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    @job(name="failing")
    async def older(user_id: int) -> None: ...

    await fail.enqueue("x")
    async with working(config, older):
        await until(lambda: "dead letter" in caplog.text)
    (letter,) = await letters()
    assert letter["reason"].startswith("JobArgumentsInvalid: The arguments of the job failing are invalid: ")


async def test_a_worker_that_stops_lets_runs_end_and_puts_back_the_rest(config: Config) -> None:
    started = asyncio.Event()

    @job(name="short")
    async def short() -> None:
        started.set()
        await asyncio.sleep(0.2)
        ran.append("short")

    @job(name="long")
    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ran.append("stopped")

    await long.enqueue()
    await short.enqueue()
    async with working(config, short, long):
        await started.wait()
    assert ran == ["short", "stopped"]
    assert await stored("stream") == 1
    again = await open_queue("default").take("another", takes_over=False)
    assert isinstance(again, list)
    assert json.loads(again[0].data)["task_name"] == "long"


async def test_a_repeated_message_is_dropped(config: Config) -> None:
    queue = open_queue("default")
    message = JobMessage(task_id="1", task_name=note.name, kwargs={"value": 1})
    assert [await queue.push(message), await queue.push(message)] == ["1", "1"]
    assert await stored("stream") == 1


async def test_without_redis_enqueue_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotOpenError, match="Redis is not open"):
        await note.enqueue(1)
    with pytest.raises(NotOpenError, match="There is no current job"):
        current_job()
    async with lifespan(ShopConfig(REDIS_URL="redis://127.0.0.1:9/0?timeout=0.1"), check=False):
        with pytest.raises(ResourceError, match="was not enqueued, because Redis does not answer"):
            await note.enqueue(1)


def test_two_jobs_of_one_name_are_refused() -> None:
    @job(name="failing")
    async def other() -> None: ...

    check_jobs([fail, fail, note])
    with pytest.raises(ConfigError, match="There are several jobs named failing"):
        check_jobs([fail, other])


async def test_a_run_knows_its_job(config: Config) -> None:
    @job(name="knowing")
    async def know() -> None:
        ran.append(current_job())

    job_id = await know.enqueue()
    async with working(config, know):
        await until(lambda: ran)
    assert ran == [JobRun(job_id, "knowing", 1)]


async def test_all_jobs_of_a_dead_worker_are_taken_over_at_once(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_queue, "LEASE", 3000)
    monkeypatch.setattr(redis_queue, "SETTLING", 0)
    for value in range(100):
        await note.enqueue(value)
    await open_queue("default").take("dead", takes_over=False, count=100)
    async with working(config, note):
        await until(lambda: len(ran) >= 100)  # with one job at each look, it would take 100 seconds
    assert sorted({value for value, *_ in ran}) == [*range(100)]


async def test_a_frozen_redis_stops_neither_the_worker_for_ever_nor_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(broker_module, "ANSWER_TIMEOUT", 0.3)
    with _or_skip(kinds.server()) as server:
        config = ShopConfig(REDIS_URL=kinds.url(server), CONNECT_TIMEOUT=0.5, GRACEFUL_SHUTDOWN_TIMEOUT=0.5)
        async with lifespan(config), working(config, note) as worker:
            await note.enqueue(1)
            await until(lambda: len(ran) == 1)
            with server.frozen():
                await until(lambda: "Redis is unavailable" in caplog.text)
            await note.enqueue(2)
            await until(lambda: len(ran) == 2)
            with server.frozen():
                worker.cancel()
                await asyncio.wait({worker}, timeout=60)
                assert worker.done()
    assert [value for value, *_ in ran] == [1, 2]


async def test_nobody_takes_over_jobs_in_the_first_moments_after_an_outage(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_queue, "LEASE", 0)
    queue = open_queue("default")
    assert isinstance(queue, RedisQueue)
    await note.enqueue(1)
    (first,) = await taken_by(queue, "owner", takes_over=False)
    monkeypatch.setattr(redis_queue, "GAP", -1)  # an outage before each contact
    assert await taken_by(queue, "another", takes_over=True) == []
    assert await queue.keep("owner", [first.entry]) == set()
    monkeypatch.setattr(redis_queue, "GAP", 60_000)
    monkeypatch.setattr(redis_queue, "SETTLING", 60_000)
    assert await taken_by(queue, "another", takes_over=True) == []
    monkeypatch.setattr(redis_queue, "SETTLING", 0)
    (again,) = await taken_by(queue, "another", takes_over=True)
    assert (again.job_id, again.times) == (first.job_id, 2)
    assert await queue.keep("owner", [first.entry]) == {first.entry}


async def taken_by(queue: RedisQueue, consumer: str, *, takes_over: bool) -> list[Taken]:
    taken = await queue.take(consumer, takes_over=takes_over)
    return taken if isinstance(taken, list) else []
