"""The executor runs the functions of timers, with their timeouts and leases."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from math import inf

from sanicbase.db.routing import start_scope
from sanicbase.jobs.claims import Claim, Claims, RedisUnavailable
from sanicbase.jobs.spans import running_timer
from sanicbase.jobs.timer import Tick, Timer, set_current_tick
from sanicbase.metrics import Counter, Gauge, Histogram
from sanicbase.metrics.instruments import RUN_SECONDS

__all__ = ["Executor", "end_task"]

logger = logging.getLogger("sanicbase.jobs")

TIMER_RUNS = Counter("sanicbase_timer_runs_total", "Runs of timers by their outcome.", ["timer", "outcome"])
TIMER_SECONDS = Histogram("sanicbase_timer_run_seconds", "How long runs of timers took.", ["timer"], bounds=RUN_SECONDS)
TIMER_SUCCESS = Gauge(
    "sanicbase_timer_last_success_timestamp_seconds", "When a run of a timer last succeeded.", ["timer"],
    keeps_maximum=True,
)  # fmt: skip
RENEW_INTERVAL = 1.0  # seconds between two renewals of a lease, which lasts five
CLEANUP_TIMEOUT = 10.0  # seconds that a cancelled run has for its `finally` before it is cancelled again


class Executor:
    """Owns the tasks of the runs. They are not children of the timers' loops: when those are cancelled the runs
    continue until `shutdown`."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, timer: Timer, claim: Claim, tick: Tick) -> None:
        """Run a tick that was claimed; errors are logged."""
        task = asyncio.create_task(self._run(timer, claim, tick), name=timer.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def shutdown(self, seconds: float | None) -> None:
        """Wait for the runs in progress, cancel those that still run after `seconds`, and await their `finally`. None
        means no limit.

        If this call is cancelled, they are cancelled at once.
        """
        if not self._tasks:
            return
        running = set(self._tasks)
        limit = "until they end" if seconds is None else f"for at most {seconds:g} seconds"
        logger.info("Waiting for %s %s.", ", ".join(task.get_name() for task in running), limit)
        try:
            await asyncio.wait(running, timeout=seconds)
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    async def _run(self, timer: Timer, claim: Claim, tick: Tick) -> None:
        work = asyncio.create_task(_call(timer, tick), name=timer.name)
        try:
            await self._watch(work, timer, claim, tick)
        finally:
            await end_task(work)
            with suppress(RedisUnavailable):
                await self._claims.update_lease(claim, tick.fence, done=True)

    async def _watch(self, work: asyncio.Task[None], timer: Timer, claim: Claim, tick: Tick) -> None:
        """Return when the work is done or must not continue; renew its lease until then."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + (timer.timeout or inf)
        while (left := deadline - clock()) > 0:
            done, _ = await asyncio.wait({work}, timeout=min(RENEW_INTERVAL, left))
            if done:
                return
            if claim.exclusive and not await self._has_lease(claim, tick):
                logger.error("%s lost its lease to a later run and is cancelled.", timer.name)
                return
        logger.error("%s took longer than %g seconds and is cancelled.", timer.name, timer.timeout)

    async def _has_lease(self, claim: Claim, tick: Tick) -> bool:
        """Whether the run still has its lease. It does while Redis is unavailable, because nobody can claim then."""
        try:
            return await self._claims.update_lease(claim, tick.fence, done=False)
        except RedisUnavailable:
            return True


async def end_task(work: asyncio.Task[None]) -> None:
    """Cancel the work unless it is done, and await it. A cancellation may be lost, so it is repeated, but only after a
    `finally` has had its time."""
    while not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=CLEANUP_TIMEOUT)


async def _call(timer: Timer, tick: Tick) -> None:
    """Call the function. Only a cancellation is raised."""
    start_scope()
    started, outcome = time.monotonic(), "cancelled"
    fields = {"timer": timer.name, "due": tick.moment.isoformat(), "started": datetime.now(UTC).isoformat()}
    try:
        with set_current_tick(tick), running_timer(timer.name, fields["due"]):
            await timer.function()
        outcome = "succeeded"
        TIMER_SUCCESS.set(time.time(), timer.name)
        logger.info("%s succeeded.", timer.name, extra=fields | _ended(started, outcome))
    except asyncio.CancelledError:
        logger.warning("%s was cancelled.", timer.name, extra=fields | _ended(started, outcome))
        raise
    except Exception:
        outcome = "failed"
        logger.exception("%s failed.", timer.name, extra=fields | _ended(started, outcome))
    finally:
        TIMER_RUNS.inc(timer.name, outcome)
        TIMER_SECONDS.observe(time.monotonic() - started, timer.name)


def _ended(started: float, outcome: str) -> dict[str, object]:
    return {"seconds": round(time.monotonic() - started, 3), "outcome": outcome}
