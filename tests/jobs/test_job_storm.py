"""Enqueuers, relays and workers are killed at random, on real servers: no job is lost, and what is once stays once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tortoise import Tortoise

from sanicbase import get_redis, lifespan
from sanicbase.jobs.queues.inspection import JobState
from sanicbase.jobs.queues.opening import inspect_queue
from tests.jobs import storm
from tests.jobs.ordering import Order, OrderingConfig, Outbox
from tests.jobs.running import remove_queues
from tests.preloaded import PreloadedService

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

ROOT = Path(__file__).parents[2]
JOBS = int(os.environ.get("SANICBASE_TEST_JOBS", "10000"))
STORES = [
    pytest.param(
        store, broker, marks=[pytest.mark.xdist_group(store), *([pytest.mark.long] if broker != "redis" else ())]
    )
    for store in ("postgres", "mysql")
    for broker in ("redis", "rabbitmq", "nats")
]


async def ride(url: str, redis_url: str, broker_url: str, directory: Path, *, jobs: int, kill: float) -> Counter[str]:
    """Have so many jobs run while processes are killed; returns how often each role was."""
    orders = jobs // 2
    env = {
        "SHOP_DB_URL": url,
        "SHOP_REDIS_URL": redis_url,
        "SHOP_JOBS_URL": broker_url,
        "SHOP_LOG_LEVEL": "WARNING",
        "STORM_ORDERS": str(orders),
        "STORM_KILL": str(kill),
        "STORM_ROLES": "enqueuer enqueuer worker worker worker",
        "PYTHONPATH": str(ROOT),
    }
    config = OrderingConfig(DB_URL=url, REDIS_URL=redis_url, JOBS_URL=broker_url)
    async with lifespan(config, check=False):
        await Tortoise.generate_schemas()
        await remove_queues("shop")
        with PreloadedService(storm.service(directory), cwd=directory, prefix="SHOP_", env=env) as process:
            while not await is_done(orders):
                await asyncio.sleep(0.2)
            process.terminate()
            output = process.output()
        mails = Counter(order.mails for order in await Order.all())
        assert mails == {1: await Order.all().count()}, "each order has one mail, neither none nor two"
        redis: Any = get_redis()
        assert await redis.hlen("seen") == mails[1]
        assert await inspect_queue("default").listed(JobState.DEAD, 1) == []
        await remove_queues("shop")
    return Counter(line.split()[1] for line in output.splitlines() if line.startswith("ended") and " -9" in line)


async def is_done(orders: int) -> bool:
    """Whether each order has its mail and was seen, and no job is left, where that can be asked for."""
    redis: Any = get_redis()
    queue = "{shop:jobs:default}"
    waiting = [await redis.xlen(f"{queue}:stream"), await redis.zcard(f"{queue}:delayed"), await Outbox.all().count()]
    count, without = await Order.all().count(), await Order.filter(mails=0).count()
    return count >= orders and not any(waiting) and not without and await redis.hlen("seen") == count


def broker_url(broker: str, request: pytest.FixtureRequest) -> str:
    return "" if broker == "redis" else str(request.getfixturevalue(f"{broker}_url"))


@pytest.mark.parametrize(("store", "broker"), STORES)
async def test_no_job_is_lost_while_processes_are_killed(
    store: str,
    broker: str,
    tmp_path: Path,
    redis_url: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    url = request.getfixturevalue(f"{store}_url")
    kills = await ride(url, redis_url, broker_url(broker, request), tmp_path, jobs=150, kill=0.02)
    assert kills["worker"] > 0


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("store", "broker"), STORES)
async def test_no_job_of_thousands_is_lost_while_processes_are_killed(
    store: str,
    broker: str,
    tmp_path: Path,
    redis_url: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    url = request.getfixturevalue(f"{store}_url")
    kills = await ride(url, redis_url, broker_url(broker, request), tmp_path, jobs=JOBS, kill=0.05)
    assert kills["worker"] > JOBS / 100
    assert kills["enqueuer"] > JOBS / 100
    sys.stdout.write(f"\n{store}, {broker}: {JOBS} jobs, {dict(kills)} kills\n")
