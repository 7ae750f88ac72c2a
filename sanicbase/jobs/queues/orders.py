"""What people have ordered for a queue in RabbitMQ or NATS: that it is paused, and that some of its jobs are cancelled.

Neither server can delete a job that waits, or tell a worker to end one, so the orders are kept in the Redis of jobs:

    {<service>:jobs:<queue>}:paused      exists while nothing is taken from the queue
    {<service>:jobs:<queue>}:cancelled   a stream, the log of the cancellations: `id`, and `cancelled`, which is 0 for a
                                         job that may run after all

A worker reads twice a second what is new in the log, so a job costs no call. While Redis does not respond, the last
answer holds. The latest MAX_CANCELLED entries are kept, for KEPT after the last one.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis, RedisCluster

from sanicbase.jobs.queues.interface import UNREACHED
from sanicbase.jobs.queues.pause import Pause, key_tag

__all__ = ["Orders"]

KNOWN_FOR = 0.5  # seconds until a worker asks again
ANSWER_TIMEOUT = 2.0  # seconds that a worker waits for the first answer, or for one that it needs at once
MAX_CANCELLED = 10_000
KEPT = 366 * 86_400_000  # milliseconds; a job cannot be delayed for longer


class Orders:
    """The orders for one queue, and what this process knows of them. `cancel` and `restore` raise redis-py's errors."""

    def __init__(self, client: Redis | RedisCluster, service: str, queue: str) -> None:
        self.pause = Pause(client, service, queue)
        self._redis: Any = client
        self._key = f"{key_tag(service, queue)}:cancelled"
        self._is_paused: bool | None = None
        self._cancelled: dict[str, None] = {}  # ids, the latest one last
        self._read = "-"  # where to read on in the log
        self._asked = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def cancel(self, job_id: str) -> None:
        """Have workers drop the job, and cancel its run."""
        await self._log(job_id, 1)

    async def restore(self, job_id: str) -> None:
        """Have workers run the job even if it was cancelled."""
        await self._log(job_id, 0)

    async def is_paused(self) -> bool:
        """Whether nothing is to be taken, as of half a second ago, for a worker that asks often."""
        self.poll()
        if self._is_paused is None:
            await self._answered()
        return bool(self._is_paused)

    def is_cancelled(self, job_id: str) -> bool:
        """Whether the job is cancelled, as of the last answer."""
        return job_id in self._cancelled

    async def refresh(self) -> None:
        """Ask now, and wait for the answer."""
        await self._answered()  # which may be older than this call
        self.poll(0.0)
        await self._answered()

    def poll(self, seconds: float = KNOWN_FOR) -> None:
        """Ask in the background, unless the last answer is younger than that."""
        if self._asking is None or (self._asking.done() and time.monotonic() - self._asked >= seconds):
            self._asked = time.monotonic()
            self._asking = asyncio.create_task(self._ask(), name="orders for a queue")

    async def _answered(self) -> None:
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=ANSWER_TIMEOUT)

    async def _ask(self) -> None:
        with suppress(*UNREACHED):
            async with self._redis.pipeline(transaction=False) as pipe:
                is_paused, entries = await pipe.exists(self.pause.key).xrange(self._key, self._read, "+").execute()
            self._is_paused = bool(is_paused)
            for entry, fields in entries:
                self._read = f"({entry.decode()}"
                self._apply(fields[b"id"].decode(), is_cancelled=fields[b"cancelled"] == b"1")

    def _apply(self, job_id: str, *, is_cancelled: bool) -> None:
        self._cancelled.pop(job_id, None)
        if is_cancelled:
            self._cancelled[job_id] = None
        if len(self._cancelled) > MAX_CANCELLED:
            del self._cancelled[next(iter(self._cancelled))]

    async def _log(self, job_id: str, cancelled: int) -> None:
        entry = {"id": job_id, "cancelled": cancelled}
        async with self._redis.pipeline(transaction=True) as pipe:
            await (
                pipe.xadd(self._key, entry, maxlen=MAX_CANCELLED, approximate=False).pexpire(self._key, KEPT).execute()
            )
