"""A job that runs for much longer than a silent worker keeps it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sanicbase import Config, lifespan
from sanicbase.jobs import job
from tests.jobs.running import until, working

SECONDS = 90  # LEASE is seven
runs: list[str] = []


class ShopConfig(Config):
    SERVER_NAME = "shop"
    MODEL_LIST = []


@job(name="counting stock")
async def count_stock() -> None:
    runs.append("begun")
    await asyncio.sleep(SECONDS)
    runs.append("ended")


@pytest.mark.long
@pytest.mark.timeout(SECONDS * 3)
async def test_it_runs_once_while_its_worker_lives(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = ShopConfig(REDIS_URL=redis_url)
    async with lifespan(config), working(config, count_stock), working(config, count_stock):
        await count_stock.enqueue()
        await until(lambda: "ended" in runs, SECONDS * 2)
        await asyncio.sleep(10)  # longer than the lease
    assert runs == ["begun", "ended"]
