"""The status of a job during and after its run: progress and result, in a Redis hash that expires.

It is kept in Redis even if the jobs are in RabbitMQ or NATS, and only for jobs that report progress or have
`keep_result`. The queue does not depend on it: jobs run even if Redis loses it or is unavailable.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic_core import from_json

from sanicbase.jobs.queues.interface import UNREACHED
from sanicbase.jobs.queues.opening import redis_of_jobs
from sanicbase.rc.clients import namespace

__all__ = ["JobStatus", "RunState", "StatusWriter", "job_status", "progress", "set_status_writer"]

logger = logging.getLogger("sanicbase.jobs")

KEEP = 3600.0  # seconds that progress is kept after it was last reported
INTERVAL = 0.5  # seconds between two writes of progress, except for the last one


class RunState(StrEnum):
    """The state of a job that reports progress or has a result."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    DEAD = "dead"


class JobStatus(BaseModel):
    """The progress and the result of a job. A view may return it."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: RunState
    done: float | None = None
    total: float | None = None
    result: JsonValue = None
    """What the function returned, as JSON, if the job has `keep_result`."""
    updated: datetime
    """When it was last written, by the clock of the worker."""


async def job_status(job_id: str) -> JobStatus | None:
    """The progress and the result of a job; None if it has reported nothing, or if the status has expired.

    A waiting job has none yet. Raises redis-py's errors.
    """
    redis: Any = redis_of_jobs()[0]
    fields: Mapping[bytes, bytes] = await redis.hgetall(_key(job_id))
    if not fields:
        return None
    return JobStatus.model_validate({"id": job_id} | {name.decode(): from_json(text) for name, text in fields.items()})


async def progress(done: float, total: float | None = None) -> None:
    """Report how much of the current job is done, for `job_status` and `sanicGuider jobs show`:

        for number, row in enumerate(rows, 1):
            await progress(number, len(rows))

    It writes at most twice a second, and always when `done` reaches `total`. Outside a worker, and while Redis does not
    respond, it does nothing.
    """
    writer = _current.get()
    if writer is not None:
        await writer.progress(done, total)


class StatusWriter:
    """Writes the status of one run. Its failures are logged once, and do not reach the job."""

    def __init__(self, job_id: str, keep_result: float | None) -> None:
        self._key = _key(job_id)
        self._keep_result = keep_result
        self._written = 0.0
        self._has_failed = False

    async def progress(self, done: float, total: float | None) -> None:
        """See `progress`."""
        now = time.monotonic()
        if now - self._written >= INTERVAL or (total is not None and done >= total):
            self._written = now
            await self._write({"state": RunState.RUNNING, "done": done, "total": total}, KEEP)

    async def end(self, state: RunState, result: bytes = b"null") -> None:
        """Write the outcome of the job, with its result as JSON, if it reports anything."""
        if self._keep_result is not None:
            await self._write({"state": state, "result": result}, max(KEEP, self._keep_result))
        elif self._written:
            await self._write({"state": state}, KEEP)

    async def _write(self, fields: Mapping[str, object], keep: float) -> None:
        texts = {name: value if isinstance(value, bytes) else _json(value) for name, value in fields.items()}
        texts["updated"] = _json(datetime.now(UTC).isoformat())
        redis: Any = redis_of_jobs()[0]
        try:
            async with redis.pipeline(transaction=True) as pipe:
                await pipe.hset(self._key, mapping=texts).pexpire(self._key, round(keep * 1000)).execute()
        except UNREACHED as exc:
            if not self._has_failed:
                logger.warning("The progress or the result of a job could not be written to Redis: %r", exc)
            self._has_failed = True


_current: ContextVar[StatusWriter | None] = ContextVar("status", default=None)


@contextmanager
def set_status_writer(writer: StatusWriter) -> Iterator[None]:
    """Let `progress` use this writer inside the block."""
    token = _current.set(writer)
    try:
        yield
    finally:
        _current.reset(token)


def _key(job_id: str) -> str:
    return f"{namespace()}:job:{job_id}"


def _json(value: object) -> bytes:
    return orjson.dumps(value)
