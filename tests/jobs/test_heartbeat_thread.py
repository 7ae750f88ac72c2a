"""A worker whose event loop is blocked keeps its jobs, for a while."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sanicbase import Config, job, lifespan
from sanicbase.jobs import heartbeat_thread
from sanicbase.jobs.queues import redis_queue
from sanicbase.jobs.queues.opening import open_queue
from tests.jobs.running import until, working

taken_over: list[bool] = []


class ShopConfig(Config):
    SERVER_NAME = "shop"


@job(name="block")
async def block() -> None:
    time.sleep(2)  # noqa: ASYNC251  (longer than the lease of these tests)
    taken_over.append(isinstance(await open_queue("default").take("another", takes_over=True), list))


@pytest.mark.parametrize(("patience", "is_taken_over"), [(60.0, False), (0.0, True)])
async def test_the_jobs_of_a_blocked_event_loop_are_not_taken_over_before_it_counts_as_hung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str, patience: float, is_taken_over: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    taken_over.clear()
    monkeypatch.setattr(redis_queue, "LEASE", 1500)
    monkeypatch.setattr(redis_queue, "SETTLING", 0)
    monkeypatch.setattr(heartbeat_thread, "INTERVAL", 0.1)
    monkeypatch.setattr(heartbeat_thread, "SILENCE", 0.3)
    monkeypatch.setattr(heartbeat_thread, "PATIENCE", patience)
    async with lifespan(ShopConfig(REDIS_URL=redis_url, GRACEFUL_SHUTDOWN_TIMEOUT=0.2)), working(ShopConfig(), block):
        await block.enqueue()
        await until(lambda: taken_over)
    assert taken_over == [is_taken_over]
