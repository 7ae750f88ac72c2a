"""The current run of a job, as its function sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sanicbase.errors import NotOpenError

__all__ = ["JobRun", "current_job", "set_current_job"]


@dataclass(frozen=True)
class JobRun:
    """One run of a job."""

    id: str
    """The id of the job, the same in all of its runs: an idempotency key for other services."""
    name: str
    attempt: int
    """1 for the first run; failures increase it."""


_current: ContextVar[JobRun] = ContextVar("job")


def current_job() -> JobRun:
    """The current run. Raises NotOpenError outside the run of a job."""
    try:
        return _current.get()
    except LookupError:
        raise NotOpenError("There is no current job: call this inside the function of a job.") from None


@contextmanager
def set_current_job(run: JobRun) -> Iterator[None]:
    """Have `current_job` return this run inside the block."""
    token = _current.set(run)
    try:
        yield
    finally:
        _current.reset(token)
