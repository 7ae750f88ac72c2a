"""A job of a committed transaction runs, whichever process is killed at whichever step; an effect is lost at some.

Every step between two processes is a point: before and after each call of Redis, and around the commit, the rows and
the deletion of the outbox. A scenario runs once for each point, and is killed there: from then on nothing that it does
has an effect. Then new processes take over, which may be killed at a point of their own, and the next ones finish.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tortoise import Tortoise

from sanicbase import lifespan, on_commit, transaction
from sanicbase.db.engine.transactions import EngineTransaction
from sanicbase.jobs import Job
from sanicbase.jobs.broker import Delivery
from sanicbase.jobs.message import JobMessage
from sanicbase.jobs.outbox import _Relay
from sanicbase.jobs.process_pool import ProcessPool
from sanicbase.jobs.queues import redis_queue
from sanicbase.jobs.queues.opening import open_queue
from sanicbase.jobs.queues.redis_queue import RedisQueue
from sanicbase.jobs.worker import _Runs
from sanicbase.log.redaction import Redactor
from tests.jobs.ordering import Order, OrderingConfig, Outbox


class Killed(BaseException):
    """The process is gone."""


class Power:
    """Counts the points that a process passes, and switches it off at one of them."""

    def __init__(self) -> None:
        self.on(None)

    def on(self, off_at: int | None) -> None:
        self.passed, self.off_at, self.is_off = 0, off_at, False

    def point(self) -> None:
        if self.is_off or self.passed == self.off_at:
            self.is_off = True
            raise Killed
        self.passed += 1


power = Power()


def around(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        power.point()
        result = await method(*args, **kwargs)
        power.point()
        return result

    return wrapped


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> AsyncIterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(redis_queue, "LEASE", 0)  # a killed process counts as dead at once
    monkeypatch.setattr(redis_queue, "SETTLING", 0)
    logging.getLogger("sanicbase").setLevel(logging.CRITICAL)
    power.on(None)
    async with lifespan(OrderingConfig(REDIS_URL=redis_url, DB_STATEMENT_TIMEOUT=5), check=False):
        await Tortoise.generate_schemas()
        for owner, name in ((RedisQueue, "_run"), (EngineTransaction, "_commit"), (_Relay, "_delete")):
            monkeypatch.setattr(owner, name, around(getattr(owner, name)))
        monkeypatch.setattr(Outbox, "create", around(Outbox.create))
        monkeypatch.setattr(_Relay, "wake", lambda relay: None)  # the scenario calls it, to wait for it
        yield
    logging.getLogger("sanicbase").setLevel(logging.NOTSET)


class Shop:
    """One order and its job, with a queue of its own."""

    def __init__(self, number: int, *, in_transaction: bool, once: bool) -> None:
        self.order = number
        self.in_transaction = in_transaction
        self.runs = 0
        self.job = Job(self.mail, name=f"mail-{number}", queue=f"q{number}", once=once)
        self.worker = _Runs({self.job.name: self.job}, Redactor(), ProcessPool([], 1))
        self._workers = itertools.count()

    async def mail(self, order: int) -> None:
        power.point()
        self.runs += 1
        if self.job.once:
            row = await Order.get(id=order)
            await Order.filter(id=order).update(mails=row.mails + 1)
        power.point()

    async def run(self) -> None:
        """What the processes of a service do: the order, the relay, the worker."""
        async with transaction():
            await Order.create(id=self.order)
            if self.in_transaction:
                await self.job.enqueue(self.order)
            else:
                await on_commit(partial(self.job.enqueue, self.order))
        await self.go_on()

    async def go_on(self) -> None:
        """What new processes do with what is left."""
        await _Relay(Outbox).drain()
        queue, consumer = open_queue(self.job.queue), f"worker-{next(self._workers)}"
        while isinstance(taken := await queue.take(consumer, takes_over=True), list):
            await self.worker.run(Delivery(queue, consumer, taken[0], JobMessage.from_bytes(taken[0].data)))

    async def killed_at(self, *points: int) -> bool:
        """Run it, be killed at these points, one in each life, and go on; returns whether the last one was reached."""
        steps = [self.run, *(self.go_on for _ in points)]
        reached = True
        for step, off_at in zip(steps, [*points, None], strict=True):
            power.on(off_at)
            try:
                await step()
            except Killed:
                pass
            else:
                reached = reached and (off_at is None or power.is_off)
        power.on(None)
        return reached

    async def is_lost(self) -> bool:
        """Whether the order was committed, and its job did not run."""
        return await Order.filter(id=self.order).exists() and not self.runs


numbers: Iterator[int] = itertools.count(1)


async def explore(depth: int, *, in_transaction: bool, once: bool = False) -> tuple[int, list[tuple[int, ...]]]:
    """Kill at every point, in so many lives; returns the number of scenarios and those that lost the job."""
    count, lost = 0, []
    waiting: list[tuple[int, ...]] = [(0,)]
    while waiting:
        points = waiting.pop()
        shop = Shop(next(numbers), in_transaction=in_transaction, once=once)
        if not await shop.killed_at(*points):
            continue  # beyond the last point
        count += 1
        if await shop.is_lost():
            lost.append(points)
        if once and await Order.filter(id=shop.order).exists():
            assert (await Order.get(id=shop.order)).mails == 1, points
        assert await Outbox.all().count() == 0
        waiting.append((*points[:-1], points[-1] + 1))
        if len(points) < depth:
            waiting.append((*points, 0))
    return count, lost


@pytest.mark.usefixtures("shop")
async def test_no_kill_at_any_point_loses_the_job_of_a_committed_transaction() -> None:
    count, lost = await explore(1, in_transaction=True)
    assert count > 12
    assert lost == []


@pytest.mark.usefixtures("shop")
async def test_a_job_that_is_enqueued_after_the_commit_is_lost_at_some_point() -> None:
    _, lost = await explore(1, in_transaction=False)
    assert lost != []


@pytest.mark.usefixtures("shop")
async def test_no_kill_at_any_point_repeats_what_a_job_with_once_has_written() -> None:
    count, lost = await explore(1, in_transaction=True, once=True)
    assert count > 15
    assert lost == []


@pytest.mark.long
@pytest.mark.usefixtures("shop")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("once", [False, True])
async def test_no_two_kills_lose_the_job_of_a_committed_transaction(once: bool) -> None:
    count, lost = await explore(2, in_transaction=True, once=once)
    assert count > 100
    assert lost == []
