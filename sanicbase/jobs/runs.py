"""The runs of a process's timers: started, timed, given up and, at the end, awaited."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from math import inf

from sanicbase.db.routing import forget_writes
from sanicbase.jobs.ticks import Away, Claim, Ticks
from sanicbase.jobs.timer import Tick, Timer, ticking

__all__ = ["Runs"]

logger = logging.getLogger("sanicbase.jobs")

BEAT = 1.0  # seconds between two renewals of a lease, which lasts five
CLEANING = 10.0  # seconds a cancelled run has for its `finally` until it is cancelled again


class Runs:
    """Owns the tasks of the runs. They are not children of the loop that starts them: when that is cancelled they go
    on until `finish`."""

    def __init__(self, ticks: Ticks) -> None:
        self._ticks = ticks
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, timer: Timer, claim: Claim, tick: Tick) -> None:
        """Run the tick that was claimed; what goes wrong is logged."""
        task = asyncio.create_task(self._run(timer, claim, tick), name=timer.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, seconds: float) -> None:
        """Await the runs in progress, cancel after `seconds` those that are left, and await their `finally`.

        When this itself is cancelled, they are at once.
        """
        if not self._tasks:
            return
        running = set(self._tasks)
        logger.info("Waiting for %s, %g seconds at most.", ", ".join(task.get_name() for task in running), seconds)
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
            await _end(work)
            with suppress(Away):
                await self._ticks.hold(claim, tick.fence, done=True)

    async def _watch(self, work: asyncio.Task[None], timer: Timer, claim: Claim, tick: Tick) -> None:
        """Return when the work is done or must not go on; its lease is renewed meanwhile."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + (timer.timeout or inf)
        while (left := deadline - clock()) > 0:
            done, _ = await asyncio.wait({work}, timeout=min(BEAT, left))
            if done:
                return
            if claim.exclusive and not await self._still_holds(claim, tick):
                logger.error("%s was held up so long that a later run took its place: it is cancelled.", timer.name)
                return
        logger.error("%s took longer than %g seconds: it is cancelled.", timer.name, timer.timeout)

    async def _still_holds(self, claim: Claim, tick: Tick) -> bool:
        """Whether the run may go on; it does while nobody can be asked, for then nobody can claim."""
        try:
            return await self._ticks.hold(claim, tick.fence, done=False)
        except Away:
            return True


async def _end(work: asyncio.Task[None]) -> None:
    """Cancel the work unless it is done, and await it. A cancellation may get lost on its way, so it is repeated, but
    not before a `finally` has had its time."""
    while not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=CLEANING)


async def _call(timer: Timer, tick: Tick) -> None:
    """The function itself. Nothing but a cancellation comes out of it."""
    forget_writes()
    try:
        with ticking(tick):
            await timer.function()
    except asyncio.CancelledError:
        logger.warning("%s was cancelled.", timer.name)
        raise
    except Exception:
        logger.exception("%s failed.", timer.name)
