"""Whether nothing is taken from a queue: a key in the Redis of jobs, also for queues in RabbitMQ and NATS."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis, RedisCluster

from sanicbase.jobs.queues.interface import UNREACHED

__all__ = ["Pause", "key_tag"]

KNOWN_FOR = 0.5  # seconds until a worker asks again
FIRST_TIMEOUT = 2.0  # seconds


class Pause:
    """The pause of one queue. Methods raise redis-py's errors, except `holds`."""

    def __init__(self, client: Redis | RedisCluster, service: str, queue: str) -> None:
        self._redis: Any = client
        self.key = f"{key_tag(service, queue)}:paused"
        self._known: bool | None = None
        self._asked = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def begin(self) -> bool:
        """Stop workers from taking jobs of the queue, until `end`. Runs in progress continue. Returns False if it was
        already paused."""
        return bool(await self._redis.set(self.key, "1", nx=True))

    async def end(self) -> bool:
        """Have workers take jobs again, within a second. Returns whether it was paused."""
        return bool(await self._redis.delete(self.key))

    async def is_on(self) -> bool:
        """Whether nothing is taken from the queue."""
        return bool(await self._redis.exists(self.key))

    async def holds(self) -> bool:
        """What `is_on` returned half a second ago, for a worker that asks often. The worker waits for the first answer
        only, and while Redis does not respond, the last one holds."""
        if self._asking is None or (self._asking.done() and time.monotonic() - self._asked >= KNOWN_FOR):
            self._asked = time.monotonic()
            self._asking = asyncio.create_task(self._ask(), name="pause of a queue")
        if self._known is None:
            await asyncio.wait({self._asking}, timeout=FIRST_TIMEOUT)
        return bool(self._known)

    async def _ask(self) -> None:
        with suppress(*UNREACHED):
            self._known = await self.is_on()


def key_tag(service: str, queue: str) -> str:
    """What the keys of a queue begin with: a hash tag, so that one node of a Cluster has all of them."""
    return f"{{{service}:jobs:{queue}}}"
