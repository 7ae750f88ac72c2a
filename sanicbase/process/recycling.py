"""When a worker is replaced although it works: after so many requests or jobs, at an age, or above a size of memory.

Each worker has between four fifths and all of each limit, so that workers that started together are not replaced
together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from sanicbase.process.memory import resident_memory

__all__ = ["WorkerLimits"]

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class WorkerLimits:
    """The limits of one worker; 0 means none. `count` is of requests or of runs of jobs."""

    count: int
    age: float
    memory: int
    counts: Literal["requests", "runs"] = "requests"

    @classmethod
    def draw(
        cls, count: int, age: float, memory: int, counts: Literal["requests", "runs"] = "requests"
    ) -> WorkerLimits | None:
        """The limits of a new worker by those of the settings; None without any."""
        share = random.uniform(0.8, 1.0)  # noqa: S311  (no secret)
        limits = cls(round(count * share), age * share, round(memory * share), counts)
        return limits if limits.count or limits.age or limits.memory else None

    def exceeded(self, pid: int, *, count: int, age: float) -> tuple[str, str] | None:
        """The limit that a worker has reached, and a description for the log; None when it has reached none."""
        if 0 < self.count <= count:
            return self.counts, f"has served {count} requests" if self.counts == "requests" else f"has run {count} jobs"
        if 0 < self.age <= age:
            return "age", f"is {age:.0f} s old"
        if self.memory and (memory := resident_memory(pid)) is not None and memory >= self.memory:
            return "memory", f"uses {memory / MEBIBYTE:.0f} MiB"
        return None
