"""The progress and the result of a job, and its cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sanicbase import Config, ConfigError, JobStatus, get_redis, job, job_status, lifespan, progress
from sanicbase.jobs import status
from sanicbase.jobs.queues.inspection import JobState
from sanicbase.jobs.queues.opening import inspect_queue
from tests.jobs.running import until, working

ran: list[Any] = []
going_on = asyncio.Event()


class ShopConfig(Config):
    SERVER_NAME = "shop"


@pytest.fixture(autouse=True)
async def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> AsyncIterator[Config]:
    monkeypatch.chdir(tmp_path)
    ran.clear()
    going_on.clear()
    config = ShopConfig(REDIS_URL=redis_url, GRACEFUL_SHUTDOWN_TIMEOUT=0.2)
    async with lifespan(config):
        yield config


@job(name="count")
async def count(total: int) -> None:
    await progress(1, total)
    await progress(2, total)  # too soon after the first one
    ran.append(total)
    await going_on.wait()
    await progress(total, total)


@job(name="add", keep_result="1h")
async def add(first: int, second: int) -> dict[str, int]:
    return {"sum": first + second}


@job(name="fail", keep_result="1h", retries=0)
async def fail() -> None:
    raise LookupError


@job(name="wrong", keep_result="1h", retries=0)
async def wrong() -> object:
    return object()


@job(name="hang")
async def hang() -> None:
    ran.append("begins")
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        ran.append("cancelled")
        raise


async def ended(job_id: str) -> JobStatus:
    async with asyncio.timeout(30):
        while (current := await job_status(job_id)) is None or current.state is status.RunState.RUNNING:
            await asyncio.sleep(0.01)
    return current


async def test_the_progress_of_a_job_is_seen_while_it_runs_and_after(config: Config) -> None:
    job_id = await count.enqueue(7)
    assert await job_status(job_id) is None
    async with working(config, count):
        await until(lambda: ran)
        seen = await job_status(job_id)
        assert seen is not None
        assert (seen.state, seen.done, seen.total) == ("running", 1, 7)
        going_on.set()
        end = await ended(job_id)
    assert (end.state, end.done, end.total, end.result) == ("succeeded", 7, 7, None)
    redis: Any = get_redis()
    assert 0 < await redis.ttl(f"shop:job:{job_id}") <= 3600


async def test_a_result_is_kept_if_the_job_says_so(config: Config) -> None:
    kept, without = await add.enqueue(3, 4), await hang.enqueue()
    async with working(config, add):
        assert (await ended(kept)).result == {"sum": 7}
    assert await job_status(without) is None


async def test_a_job_that_fails_or_returns_what_json_cannot_hold_has_no_result(config: Config) -> None:
    failing, returning = await fail.enqueue(), await wrong.enqueue()
    async with working(config, fail, wrong):
        for job_id in (failing, returning):
            end = await ended(job_id)
            assert (end.state, end.result) == ("dead", None)
        inspection = inspect_queue("default")
        while (letter := await inspection.find(returning)) is None:
            await asyncio.sleep(0.01)
    assert letter.letter is not None
    assert letter.letter.reason.startswith("ValueError: The result of the job wrong is invalid")


async def test_progress_outside_of_a_worker_does_nothing() -> None:
    going_on.set()
    await count(3)
    redis: Any = get_redis()
    assert ran == [3]
    assert await redis.keys("shop:job:*") == []


async def test_a_job_is_cancelled_whether_it_waits_or_runs(config: Config) -> None:
    waiting = await hang.enqueue()
    assert await hang.cancel(waiting)
    assert not await hang.cancel(waiting)
    running = await hang.enqueue()
    async with working(config, hang):
        await until(lambda: ran == ["begins"])
        assert await hang.cancel(running)
        await until(lambda: ran == ["begins", "cancelled"])
    assert [await inspect_queue("default").listed(state, 10) for state in JobState] == [[], [], [], []]


def test_results_are_kept_for_a_positive_time() -> None:
    with pytest.raises(ConfigError, match="`keep_result` must be above 0"):
        job(keep_result=0)(hang.function)
