"""Claims of ticks: the interface that Redis and the memory of a single process implement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["FOREVER", "Claim", "ClaimResult", "ClaimStatus", "Claims", "RedisUnavailable"]

FOREVER = 2**52  # milliseconds


class RedisUnavailable(Exception):
    """Redis does not respond; this is already logged."""


class ClaimStatus(StrEnum):
    """The outcome of a claim."""

    CLAIMED = "claimed"
    """This process runs the tick."""
    TAKEN = "taken"
    """This tick, or a later one, was already claimed."""
    EARLY = "early"
    """It is not due yet."""
    LATE = "late"
    """It is later than its grace allows."""
    BUSY = "busy"
    """The timer's last run is still in progress."""
    SETTLING = "settling"
    """Redis has just created the timer's key: other copies may know that this tick was claimed."""


@dataclass(frozen=True)
class ClaimResult:
    """The status of a claim, the time (milliseconds), the last tick that was claimed, and the fencing token."""

    status: ClaimStatus
    now: int
    last: int
    fence: int


@dataclass(frozen=True)
class Claim:
    """A tick that a copy wants to run. All times are in milliseconds. `known` is the last tick that it knows was
    claimed, `life` the time until the key expires."""

    timer: str
    tick: int
    known: int
    grace: int
    exclusive: bool
    life: int


class Claims(Protocol):
    """Where ticks are claimed. `join`, `claim` and `update_lease` raise RedisUnavailable."""

    async def join(self, timer: str, life: int) -> int:
        """The time after which a new copy runs ticks: the last one claimed, or when the timer was first seen. Returns
        when the other copies have had time to report."""

    async def claim(self, claim: Claim) -> ClaimResult:
        """Claim a tick. Each tick is granted once, to one process."""

    async def update_lease(self, claim: Claim, fence: int, *, done: bool) -> bool:
        """Renew the lease of a run, or release it when `done`; returns False when a later run has replaced it."""

    def now(self) -> int:
        """The time that decides whether ticks are due."""

    async def sleep_until(self, moment: int) -> None:
        """Return at that time, never much later and hardly ever earlier."""
