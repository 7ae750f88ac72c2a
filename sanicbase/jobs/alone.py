"""Ticks without a Redis: for one process, which has nobody to agree with."""

from __future__ import annotations

import asyncio
import time

from sanicbase.jobs.ticks import Answer, Claim, Verdict

__all__ = ["LocalTicks"]

LONGEST_SLEEP = 30.0  # seconds; the machine's clock may be set meanwhile


class LocalTicks:
    """The same answers as RedisTicks gives, from this process's memory and this machine's clock.

    Nothing is remembered from one start to the next, and a second copy runs every tick again.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._fences: dict[str, int] = {}
        self._busy: set[str] = set()

    async def join(self, timer: str, life: int) -> int:
        return self.now()

    async def claim(self, claim: Claim) -> Answer:
        now = self.now()
        verdict = self._verdict(claim, now)
        if verdict is Verdict.CLAIMED:
            self._last[claim.timer] = claim.tick
            self._fences[claim.timer] = max(self._fences.get(claim.timer, 0) + 1, now)
            if claim.exclusive:
                self._busy.add(claim.timer)
        return Answer(verdict, now, self._last.get(claim.timer, 0), self._fences.get(claim.timer, 0))

    async def hold(self, claim: Claim, fence: int, *, done: bool) -> bool:
        if done:
            self._busy.discard(claim.timer)
        return True

    def now(self) -> int:
        return int(time.time() * 1000)

    async def sleep_until(self, moment: int) -> None:
        while (left := (moment - self.now()) / 1000) > 0:  # noqa: ASYNC110  (it waits for a time)
            await asyncio.sleep(min(left, LONGEST_SLEEP))

    def _verdict(self, claim: Claim, now: int) -> Verdict:
        if claim.tick <= self._last.get(claim.timer, 0):
            return Verdict.TAKEN
        if claim.tick > now:
            return Verdict.EARLY
        if now - claim.tick > claim.grace:
            return Verdict.LATE
        return Verdict.BUSY if claim.timer in self._busy else Verdict.CLAIMED
