"""How runs end while their worker stops or their server is away: in bounded time, awaited, and put back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import RedisClusterException

from sanicbase import Config, lifespan
from sanicbase.jobs import processes, worker
from sanicbase.jobs.broker import Delivery
from sanicbase.jobs.declaration import Job
from sanicbase.jobs.message import JobMessage, Labels
from sanicbase.jobs.process_pool import ProcessPool
from sanicbase.jobs.queues.interface import UNREACHED, Outcome, Taken
from sanicbase.jobs.worker import _Runs
from sanicbase.log.redaction import Redactor


class Queue:
    """Records how runs end; does not answer while `answers` is not set."""

    name = "default"

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def finish(self, consumer: str, taken: Taken, outcome: Outcome, **_: object) -> bool:
        await self.answers.wait()
        self.outcomes.append(outcome)
        return True


def run(job: Job[Any], queue: Any) -> asyncio.Task[None]:
    """Begin a run of the job."""
    message = JobMessage(task_id="1", task_name=job.name, labels=Labels(), args=[], kwargs={})
    delivery = Delivery(queue, "worker", Taken("1-1", "1", b"", 1), message)
    return asyncio.create_task(_Runs({job.name: job}, Redactor(), ProcessPool([], 1)).run(delivery))


@pytest.fixture
async def opened(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.chdir(tmp_path)

    class EndsConfig(Config):
        SERVER_NAME = "ends"

    async with lifespan(EndsConfig(REDIS_URL=redis_url)):
        yield


@pytest.mark.usefixtures("opened")
async def test_a_function_that_succeeds_although_it_is_cancelled_does_not_wait_for_its_server_without_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "STOP_TIMEOUT", 0.05)

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return

    queue = Queue()
    queue.answers.clear()
    task = run(Job(stubborn, name="stubborn"), queue)
    await asyncio.sleep(0.02)
    task.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(task, return_exceptions=True)
    assert "could not be recorded" in caplog.text


@pytest.mark.usefixtures("opened")
async def test_a_job_whose_time_is_over_is_awaited_and_put_back_when_its_worker_stops() -> None:
    ended = asyncio.Event()

    async def tidies() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)
            ended.set()

    queue = Queue()
    task = run(Job(tidies, name="tidies", timeout=0.01), queue)
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ended.is_set()
    assert queue.outcomes == [Outcome.AGAIN]


async def test_a_process_that_cannot_be_started_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Silent:
        def __getattr__(self, name: str) -> Any:
            return (lambda *_: None) if name != "feed_watchdog" else self.feed

        async def feed(self) -> None:
            await asyncio.sleep(60)

    silent: Any = Silent()
    supervisor = processes._Supervisor(1, 1.0, silent, lambda: None, silent, SimpleNamespace(metrics=silent))  # type: ignore[arg-type]

    async def fails() -> Any:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(supervisor, "_start", fails)
    with caplog.at_level(logging.CRITICAL):
        assert await supervisor.run() is True
    assert "Resource temporarily unavailable" in caplog.text


def test_a_cluster_without_nodes_is_a_server_that_does_not_answer() -> None:
    assert issubclass(RedisClusterException, UNREACHED)
