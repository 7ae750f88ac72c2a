"""When a worker is replaced although it works: after so many requests, at an age, or above a size of memory.

Each worker has between four fifths and all of each limit, so that workers that started together are not replaced
together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from sanicbase.config import Config
from sanicbase.metrics import Counter
from sanicbase.process.memory import resident_memory

__all__ = ["RECYCLED", "WorkerLimits"]

RECYCLED = Counter("sanicbase_worker_recycled_total", "Workers that reached a limit and were replaced.", ["limit"])
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class WorkerLimits:
    """The limits of one worker; 0 means none."""

    requests: int
    age: float
    memory: int

    @classmethod
    def of(cls, config: Config) -> WorkerLimits | None:
        """The limits of a new worker by the settings; None without any."""
        share = random.uniform(0.8, 1.0)  # noqa: S311  (no secret)
        requests, memory = round(config.WORKER_MAX_REQUESTS * share), round(config.WORKER_MAX_MEMORY * share)
        limits = cls(requests, config.WORKER_MAX_AGE * share, memory)
        return limits if limits.requests or limits.age or limits.memory else None

    def exceeded(self, pid: int, *, requests: int, age: float) -> tuple[str, str] | None:
        """The limit that a worker has reached, and a description for the log; None when it has reached none."""
        if 0 < self.requests <= requests:
            return "requests", f"has served {requests} requests"
        if 0 < self.age <= age:
            return "age", f"is {age:.0f} s old"
        if self.memory and (memory := resident_memory(pid)) is not None and memory >= self.memory:
            return "memory", f"uses {memory / MEBIBYTE:.0f} MiB"
        return None
