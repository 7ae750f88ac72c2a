"""The jobs of a queue, for people: list, show, retry, drop, pause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sanicbase.jobs.letter import DeadLetter
from sanicbase.jobs.message import JobMessage, PoisonedMessage
from sanicbase.jobs.queues.pause import Pause

__all__ = ["Inspection", "JobState", "ListedJob"]


class JobState(StrEnum):
    """The state of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DELAYED = "delayed"
    DEAD = "dead"


@dataclass(frozen=True)
class ListedJob:
    """A job in a queue. `moment` is when it was enqueued, is due, or was given up, in milliseconds since 1970."""

    id: str
    queue: str
    state: JobState
    data: bytes
    moment: int = 0
    letter: DeadLetter | None = None
    entry: str = ""

    @property
    def message(self) -> JobMessage | None:
        """The message; None if the bytes are not one."""
        try:
            return JobMessage.from_bytes(self.data)
        except PoisonedMessage:
            return None

    @property
    def afresh(self) -> bytes:
        """The message as it is enqueued: to run now, and with all of its retries."""
        message = self.message
        return message.relabelled(attempt=1, delay=0, due=0).to_bytes() if message else self.data


class Inspection(Protocol):
    """A queue, seen from outside. Methods raise one of UNREACHED when its server does not answer."""

    name: str
    server: str
    pause: Pause

    @property
    def states(self) -> Sequence[JobState]:
        """The states whose jobs it can list, find and change."""

    async def listed(self, state: JobState, limit: int) -> list[ListedJob]:
        """The first `limit` jobs in that state."""

    async def lengths(self) -> dict[str, int]:
        """How many jobs are in each state that the server counts."""

    async def find(self, job_id: str) -> ListedJob | None:
        """The job with that id."""

    async def retry(self, job: ListedJob) -> bool:
        """Run a job now, with all of its retries; returns False when it is not there any more."""

    async def drop(self, job: ListedJob) -> bool:
        """Delete a job, and cancel its run; returns False when it is not there any more."""

    async def cancel(self, job_id: str) -> bool:
        """Delete a job that waits or is delayed, or cancel its run within seconds. Returns False if there is none; a
        server that cannot tell returns True."""
