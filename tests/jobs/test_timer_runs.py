"""Runs of timers in one process: in order, one at a time, given up in time, and finished before the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from sanicbase import Config, ConfigError, get_redis, lifespan
from sanicbase.jobs import redis_claims
from sanicbase.jobs.timer import Tick, Timer, current_tick
from sanicbase.jobs.timers import run_timers
from sanicbase.testing.binaries import find_binaries
from sanicbase.testing.private_server import private_server
from sanicbase.testing.servers import _start_redis


class ShopConfig(Config):
    SERVER_NAME = "shop"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str, caplog: pytest.LogCaptureFixture) -> Config:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO", "sanicbase.jobs")
    monkeypatch.setattr(redis_claims, "SETTLING", 300)
    return ShopConfig(REDIS_URL=redis_url, GRACEFUL_SHUTDOWN_TIMEOUT=0.5)


@asynccontextmanager
async def running(config: Config, *timers: Timer) -> AsyncIterator[asyncio.Task[None]]:
    """The timers run inside the service's lifespan; they are told to stop at the end of the block, and awaited."""
    async with lifespan(config):
        task = asyncio.create_task(run_timers(timers, config))
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not fact():
            await asyncio.sleep(0.005)


def recorder(
    then: Callable[[], Awaitable[object]] | None = None,
) -> tuple[list[Tick], Callable[[], Coroutine[object, object, None]]]:
    """A function that writes down its ticks, and then does something else."""
    ticks: list[Tick] = []

    async def record() -> None:
        ticks.append(current_tick())
        if then:
            await then()

    return ticks, record


def messages(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.message for record in caplog.records if record.name == "sanicbase.jobs")


def gaps(ticks: Sequence[Tick]) -> set[timedelta]:
    return {later.moment - earlier.moment for earlier, later in pairwise(ticks)}


async def remember(name: str, tick: datetime) -> None:
    """Have Redis know the timer, and that tick as its last."""
    milliseconds = int(tick.timestamp() * 1000)
    await get_redis().hset(f"shop:timer:{name}", mapping={"tick": milliseconds, "since": milliseconds})


async def test_ticks_are_run_in_order_none_twice_none_left_out(config: Config) -> None:
    first, record = recorder()
    second, record_too = recorder()
    timers = Timer(record, every=0.1, name="first"), Timer(record_too, every=0.2, name="second")
    async with running(config, *timers):
        await until(lambda: len(first) > 15)
    assert gaps(first) == {timedelta(seconds=0.1)}
    assert gaps(second) == {timedelta(seconds=0.2)}
    assert {tick.timer for tick in first} == {"first"}
    assert [tick.fence for tick in first] == sorted({tick.fence for tick in first})


async def test_a_failure_is_logged_by_name_and_the_timer_continues(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    ticks, record = recorder(fail)
    async with running(config, Timer(record, every=0.1, name="failing")):
        await until(lambda: len(ticks) > 2)
    assert "failing failed." in messages(caplog)
    assert gaps(ticks) == {timedelta(seconds=0.1)}


async def test_each_run_is_one_line_with_fields(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    ticks, record = recorder()
    async with running(config, Timer(record, every=0.1, name="recording")):
        await until(lambda: "recording succeeded." in messages(caplog))
    line = next(vars(entry) for entry in caplog.records if entry.message == "recording succeeded.")
    assert (line["timer"], line["outcome"]) == ("recording", "succeeded")
    assert line["due"] == ticks[0].moment.isoformat()
    assert datetime.fromisoformat(line["started"]) >= ticks[0].moment
    assert line["seconds"] >= 0


async def test_a_run_that_takes_too_long_is_cancelled(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    cleaned: list[bool] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    ticks, record = recorder(hang)
    async with running(config, Timer(record, every=0.5, name="hanging", timeout=0.2)):
        await until(lambda: len(cleaned) > 1)
    assert "hanging took longer than 0.2 seconds and is cancelled." in messages(caplog)
    assert gaps(ticks) == {timedelta(seconds=0.5)}


async def test_a_timeout_of_the_function_s_own_is_a_failure(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    async def give_up() -> None:
        raise TimeoutError

    ticks, record = recorder(give_up)
    async with running(config, Timer(record, every=0.1, name="giving up", timeout=60)):
        await until(lambda: len(ticks) > 1)
    assert "giving up failed." in messages(caplog)


@pytest.mark.parametrize("overlap", ["skip", "allow"])
async def test_runs_overlap_only_where_the_timer_allows_it(
    config: Config, caplog: pytest.LogCaptureFixture, overlap: Literal["skip", "allow"]
) -> None:
    going: list[Tick] = []
    most: list[int] = []
    may_end = asyncio.Event()

    async def work() -> None:
        going.append(current_tick())
        most.append(len(going))
        await may_end.wait()
        going.remove(current_tick())

    ticks, record = recorder(work)
    async with running(config, Timer(record, every=0.1, name="slow", overlap=overlap, grace=1)):
        await until(lambda: len(ticks) > 5 if overlap == "allow" else "is skipped" in messages(caplog))
        may_end.set()
        await until(lambda: len(ticks) > 8)
    assert (max(most) > 1) == (overlap == "allow")
    assert ("the previous run was still in progress" in messages(caplog)) == (overlap == "skip")


EVERY = 7 * 86400  # seconds: no tick is due while the test runs


async def test_missed_ticks_are_skipped_or_made_up_for_once(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    skipped, skip = recorder()
    made_up, make_up = recorder()
    fresh, never_missed = recorder()
    timers = (
        Timer(skip, every=EVERY, name="skip"),
        Timer(make_up, every=EVERY, name="once", misfire="once"),
        Timer(never_missed, every=EVERY, name="fresh", misfire="once"),
    )
    now = datetime.now(UTC)
    async with lifespan(config):
        for name in ("skip", "once"):
            await remember(name, now - timedelta(seconds=2.5 * EVERY))
    async with running(config, *timers):
        await until(lambda: made_up and "skip: " in messages(caplog))
    (tick,) = made_up
    assert tick.moment == datetime.fromtimestamp(now.timestamp() // EVERY * EVERY, UTC)
    assert skipped == fresh == []
    assert "is skipped: no copy could run it in time." in messages(caplog)
    assert "is caught up by one run: no copy could run it in time." in messages(caplog)


async def test_ticks_within_grace_are_all_run(config: Config) -> None:
    ticks, record = recorder()
    now = datetime.now(UTC)
    async with lifespan(config):
        await remember("late", now - timedelta(seconds=2))
    async with running(config, Timer(record, every=0.5, name="late")):
        await until(lambda: len(ticks) > 4)
    assert gaps(ticks) == {timedelta(seconds=0.5)}
    assert timedelta() < ticks[0].moment - (now - timedelta(seconds=2)) <= timedelta(seconds=0.5)


async def test_a_stop_lets_runs_finish_and_starts_no_more(config: Config) -> None:
    finished: list[Tick] = []

    async def work() -> None:
        await asyncio.sleep(0.3)
        finished.append(current_tick())

    ticks, record = recorder(work)
    async with running(config, Timer(record, every=0.1, name="working", overlap="allow")):
        await until(lambda: len(ticks) > 2)
    assert finished == ticks
    assert len(asyncio.all_tasks()) == 1


async def test_a_stop_cancels_unfinished_runs_and_awaits_their_finally(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await get_redis().set("cleaned", 1)
            events.append("cleaned")

    ticks, record = recorder(hang)
    async with running(config, Timer(record, every=0.1, name="hanging")):
        await until(lambda: ticks)
    assert events == ["cleaned"]
    assert "Waiting for hanging for at most 0.5 seconds." in messages(caplog)
    assert "hanging was cancelled." in messages(caplog)


async def test_without_redis_the_process_logs_that_it_runs_alone(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    ticks, record = recorder(lambda: asyncio.sleep(0.15))
    task = asyncio.create_task(run_timers([Timer(record, every=0.1, name="lonely", grace=1)], config))
    await until(lambda: len(ticks) > 3)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert "a second process would run every tick again" in messages(caplog)
    assert gaps(ticks) == {timedelta(seconds=0.1)}


async def test_two_timers_of_one_name_do_not_start(config: Config) -> None:
    _, record = recorder()
    with pytest.raises(ConfigError, match="several timers named"):
        await run_timers([Timer(record, every=1), Timer(record, every=2)], config)


async def test_a_redis_that_comes_back_empty_costs_no_tick_and_repeats_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    binary = find_binaries("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO", "sanicbase.jobs")
    monkeypatch.setattr(redis_claims, "SETTLING", 300)
    ticks, record = recorder()
    with private_server("Redis") as server:
        config = ShopConfig(REDIS_URL=_start_redis(server, *binary))
        async with running(config, Timer(record, every=0.2, name="steady")):
            await until(lambda: len(ticks) > 3)
            await asyncio.to_thread(server.end)
            await until(lambda: "Redis is unavailable" in messages(caplog))
            before = len(ticks)
            await asyncio.to_thread(_start_redis, server, *binary)
            await until(lambda: len(ticks) > before + 10)
    assert gaps(ticks) == {timedelta(seconds=0.2)}
    assert messages(caplog).count("Redis is unavailable") == messages(caplog).count("Redis is available again") == 1
