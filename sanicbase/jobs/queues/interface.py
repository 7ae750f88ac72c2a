"""The interface of queues on any server: RedisQueue, RabbitQueue and NatsQueue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from redis.exceptions import RedisClusterException, RedisError

from sanicbase.jobs.message import JobMessage, Labels

__all__ = ["KNOWN_FOR", "UNREACHED", "NothingReady", "Outcome", "Queue", "Taken"]

KNOWN_FOR = 60_000  # milliseconds in which a client may repeat a command whose answer was lost
UNREACHED = (RedisError, RedisClusterException, OSError, TimeoutError)
"""The errors that methods of a queue raise when its server does not respond."""


class Outcome(StrEnum):
    """What happens to a job that was taken."""

    DONE = "done"
    AGAIN = "again"
    """It is put back, at once or after a pause."""
    DEAD = "dead"


@dataclass(frozen=True)
class Taken:
    """A job that this consumer has: its entry in the queue, and how many times it was given to a worker."""

    entry: str
    job_id: str
    data: bytes
    times: int


@dataclass(frozen=True)
class NothingReady:
    """No job is ready. `last` is the last entry of the queue, where it has one, and `wait` the milliseconds until a
    delayed job is due, where that is known."""

    last: str
    wait: int | None


class Queue(Protocol):
    """One queue of a service. Methods raise one of UNREACHED when the server does not respond."""

    name: str
    server: str
    """The name of the server, for messages: `Redis`, `RabbitMQ`, `NATS`."""

    async def push(self, message: JobMessage, *, known_for: int = KNOWN_FOR) -> str:
        """Add a job; returns the id of the one that waits. `known_for` is how long, in milliseconds, it may be sent
        again, where the server can tell that it was."""

    async def push_data(self, job_id: str, data: bytes, labels: Labels, *, known_for: int = KNOWN_FOR) -> str:
        """Like `push`, for bytes that may not be a message; a worker checks them."""

    async def confirm(self, job_ids: Sequence[str], *, known_for: int) -> bool:
        """Whether the loss of one server cannot lose these jobs any more, which were pushed before. They are known for
        `known_for` milliseconds from now on."""

    async def forget_ids(self, job_ids: Sequence[str]) -> None:
        """Remember these jobs for KNOWN_FOR only, because they are not sent again."""

    async def take(self, consumer: str, *, takes_over: bool, count: int = 1) -> list[Taken] | NothingReady:
        """Take up to `count` jobs that are ready, those of silent workers first if `takes_over`."""

    async def keep(self, consumer: str, entries: Sequence[str]) -> set[str]:
        """Renew the leases of these jobs. Returns those that this consumer no longer owns."""

    async def finish(
        self,
        consumer: str,
        taken: Taken,
        outcome: Outcome,
        *,
        message: bytes = b"",
        pause: float = 0.0,
        unique: str = "",
        letter: bytes = b"",
    ) -> bool:
        """End a run. Returns False if this consumer no longer owns the job. The call may be repeated."""

    async def wait(self, last: str, milliseconds: int) -> None:
        """Return when there may be a job after that entry, or after the timeout."""

    async def lengths(self) -> dict[str, int]:
        """How many jobs are in each state that the server counts, at a cost that does not depend on how many."""

    async def tidy(self) -> None:
        """Remove what killed workers have left."""

    async def forget_consumer(self, consumer: str) -> None:
        """Put back the jobs that this consumer has and has not started."""
