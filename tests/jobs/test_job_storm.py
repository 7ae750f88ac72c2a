"""Enqueuers, relays and workers are killed at random, on real servers, and so are the servers of the jobs: no job is
lost, and what is once stays once."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from tortoise import Tortoise

from sanicbase import get_redis, lifespan
from sanicbase.jobs.queues.inspection import JobState
from sanicbase.jobs.queues.opening import inspect_queue, redis_of_jobs
from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.plugin import _or_skip
from tests.jobs import storm
from tests.jobs.ordering import Order, OrderingConfig, Outbox
from tests.jobs.private_brokers import Started, private_nats, private_rabbitmq, private_redis
from tests.jobs.running import remove_queues
from tests.preloaded import PreloadedService
from tests.rc.kinds import Sentinels, sentinels

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

ROOT = Path(__file__).parents[2]
JOBS = int(os.environ.get("SANICBASE_TEST_JOBS", "10000"))
FAILOVER_JOBS = min(JOBS, 3000)
FROZEN = 1.0  # seconds
STALLED = 180.0  # seconds without an order, a mail or a run, after which the jobs that are left are lost
STORES = [
    pytest.param(
        store, broker, marks=[pytest.mark.xdist_group(store), *([pytest.mark.long] if broker != "redis" else ())]
    )
    for store in ("postgres", "mysql")
    for broker in ("redis", "rabbitmq", "nats")
]


class Restartable(Protocol):
    """A server, or a group of them, that may be killed and started again."""

    def restart(self) -> None: ...


@dataclass
class Storm:
    """The URLs of a shop's servers; those of `restarted` are killed and started again, one after the other, at equal
    distances of orders."""

    database: str
    redis: str
    broker: str
    restarted: Sequence[Restartable] = field(default=())
    jobs: str = ""
    """The Redis of jobs, if it is another one."""

    async def ride(self, directory: Path, *, jobs: int, kill: float) -> Counter[str]:
        """Have so many jobs run while processes are killed; returns how often each role was."""
        orders, began = jobs // 2, time.monotonic()
        env = {
            "SHOP_DB_URL": self.database,
            "SHOP_REDIS_URL": self.redis,
            "SHOP_JOBS_URL": self.broker,
            "SHOP_LOG_LEVEL": "WARNING",
            "STORM_ORDERS": str(orders),
            "STORM_KILL": str(kill),
            "STORM_ROLES": "enqueuer enqueuer worker worker worker",
            "PYTHONPATH": str(ROOT),
        }
        named = {"jobs": self.jobs} if self.jobs else {}
        env["SHOP_REDIS_CONNECTIONS"] = json.dumps(named)
        config = OrderingConfig(
            DB_URL=self.database, REDIS_URL=self.redis, REDIS_CONNECTIONS=named, JOBS_URL=self.broker
        )
        async with lifespan(config, check=False):
            await Tortoise.generate_schemas()
            await remove_queues("shop")
            with PreloadedService(storm.service(directory), cwd=directory, prefix="SHOP_", env=env) as process:
                await self._wait(orders)
                kills = _kills(process)
            await report(jobs, kills, len(self.restarted), time.monotonic() - began)
            mails = Counter(order.mails for order in await Order.all())
            assert mails == {1: await Order.all().count()}, "each order has one mail, neither none nor two"
            redis: Any = get_redis()
            assert await redis.hlen("seen") == mails[1]
            assert await inspect_queue("default").listed(JobState.DEAD, 1) == []
            await remove_queues("shop")
        return kills

    async def _wait(self, orders: int) -> None:
        """Return when every job has run, or when none does any more; restart servers in between."""
        waiting, known, progressed = list(self.restarted), None, time.monotonic()
        while not _is_done(state := await progress(), orders):
            if state != known:
                known, progressed = state, time.monotonic()
            elif time.monotonic() - progressed > STALLED:
                return
            if waiting and state[0] >= orders * (1 - len(waiting) / (len(self.restarted) + 1)):
                await asyncio.to_thread(waiting.pop(0).restart)
            await asyncio.sleep(0.2)


def _is_done(state: tuple[int, int, int, int], orders: int) -> bool:
    count, without, seen, waiting = state
    return count >= orders and seen == count and not without and not waiting


async def progress() -> tuple[int, int, int, int]:
    """How many orders there are, have no mail, and were seen, and the jobs that are left, where that can be asked."""
    redis: Any = get_redis()
    jobs: Any = redis_of_jobs()[0]
    queue = "{shop:jobs:default}"
    waiting = await jobs.xlen(f"{queue}:stream") + await jobs.zcard(f"{queue}:delayed") + await Outbox.all().count()
    without, count = await Order.filter(mails=0).count(), await Order.all().count()
    return count, without, await redis.hlen("seen"), waiting


def _kills(process: ServiceProcess) -> Counter[str]:
    process.terminate()
    ended = [line.split() for line in process.output().splitlines() if line.startswith("ended")]
    return Counter(role for _, role, status in ended if status == "-9")


async def report(jobs: int, kills: Counter[str], restarts: int, seconds: float) -> None:
    """Print the figures of a storm."""
    redis: Any = get_redis()
    seen = [int(runs) for runs in await redis.hvals("seen")]
    orders, failures = await Order.all().count(), int(await redis.get("failures") or 0)
    figures = {
        "jobs": 2 * orders,
        "kills": dict(kills),
        "restarts of servers": restarts,
        "lost": await Order.filter(mails=0).count() + orders - len(seen),
        "doubled": await Order.filter(mails__gt=1).count(),
        "retries": failures,
        "runs repeated after kills": sum(seen) - len(seen) - failures,
        "dead letters": len(await inspect_queue("default").listed(JobState.DEAD, 1000)),
        "seconds": round(seconds),
    }
    sys.stdout.write(f"\n{jobs} jobs: {figures}\n")
    sys.stdout.flush()


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
    shop = Storm(request.getfixturevalue(f"{store}_url"), redis_url, broker_url(broker, request))
    kills = await shop.ride(tmp_path, jobs=150, kill=0.02)
    assert kills["worker"] > 0


PRIVATE_BROKERS = {"rabbitmq": private_rabbitmq, "nats": private_nats}


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("store", "broker"), STORES)
async def test_no_job_of_thousands_is_lost_while_processes_and_servers_are_killed(
    store: str, broker: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = request.getfixturevalue(f"{store}_url")
    with ExitStack() as stack:
        redis = _started(stack, private_redis())
        if broker == "redis":
            shop = Storm(database, redis.url, "", [redis.server] * 3)
        else:
            started = _started(stack, PRIVATE_BROKERS[broker]())
            shop = Storm(database, redis.url, started.url, [started.server, redis.server, started.server])
        kills = await shop.ride(tmp_path, jobs=JOBS, kill=0.05)
    assert kills.total() > JOBS / 10
    assert kills["worker"] > JOBS / 100
    assert kills["enqueuer"] > JOBS / 100


def _started(stack: ExitStack, server: AbstractContextManager[Started]) -> Started:
    return stack.enter_context(_or_skip(server))


class Failover:
    """The primary of a Redis with Sentinels is killed while its replica is frozen. The replica becomes the primary, and
    the killed server its replica."""

    def __init__(self, watched: Sentinels) -> None:
        self._watched = watched

    def restart(self) -> None:
        old = self._watched.master()
        (replica,) = (server for server in self._watched.servers if server is not old)
        with replica.frozen():
            time.sleep(FROZEN)
            old.end()
        wait_until(lambda: self._watched.master() is not old, 75, what="a new primary")
        old.restart()
        self._watched.settled()


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_no_job_of_the_outbox_is_lost_while_processes_are_killed_and_replicas_promoted(
    tmp_path: Path, postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with _or_skip(sentinels()) as watched:
        shop = Storm(postgres_url, redis_url, "", [Failover(watched)] * 3, jobs=watched.url)
        kills = await shop.ride(tmp_path, jobs=FAILOVER_JOBS, kill=0.01)
    assert kills["worker"] > 0
    assert kills["enqueuer"] > 0
