"""Claims without Redis, for a single process."""

from __future__ import annotations

import asyncio
import time

from sanicbase.jobs.claims import Claim, ClaimResult, ClaimStatus

__all__ = ["LocalClaims"]

MAX_SLEEP = 30.0  # seconds; the machine's clock may be changed in between


class LocalClaims:
    """The same results as RedisClaims, from this process's memory and this machine's clock.

    Nothing is remembered across restarts, and a second copy runs every tick again.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._fences: dict[str, int] = {}
        self._busy: set[str] = set()

    async def join(self, timer: str, life: int) -> int:
        return self.now()

    async def claim(self, claim: Claim) -> ClaimResult:
        now = self.now()
        status = self._status(claim, now)
        if status is ClaimStatus.CLAIMED:
            self._last[claim.timer] = claim.tick
            self._fences[claim.timer] = max(self._fences.get(claim.timer, 0) + 1, now)
            if claim.exclusive:
                self._busy.add(claim.timer)
        return ClaimResult(status, now, self._last.get(claim.timer, 0), self._fences.get(claim.timer, 0))

    async def update_lease(self, claim: Claim, fence: int, *, done: bool) -> bool:
        if done:
            self._busy.discard(claim.timer)
        return True

    def now(self) -> int:
        return int(time.time() * 1000)

    async def sleep_until(self, moment: int) -> None:
        while (left := (moment - self.now()) / 1000) > 0:  # noqa: ASYNC110  (it waits for a time)
            await asyncio.sleep(min(left, MAX_SLEEP))

    def _status(self, claim: Claim, now: int) -> ClaimStatus:
        if claim.tick <= self._last.get(claim.timer, 0):
            return ClaimStatus.TAKEN
        if claim.tick > now:
            return ClaimStatus.EARLY
        if now - claim.tick > claim.grace:
            return ClaimStatus.LATE
        return ClaimStatus.BUSY if claim.timer in self._busy else ClaimStatus.CLAIMED
