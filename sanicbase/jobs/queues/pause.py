"""Whether nothing is taken from a queue: a key in the Redis of jobs, also for queues in RabbitMQ and NATS."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis, RedisCluster

__all__ = ["Pause", "key_tag"]


class Pause:
    """The pause of one queue. Methods raise redis-py's errors."""

    def __init__(self, client: Redis | RedisCluster, service: str, queue: str) -> None:
        self._redis: Any = client
        self.key = f"{key_tag(service, queue)}:paused"

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


def key_tag(service: str, queue: str) -> str:
    """What the keys of a queue begin with: a hash tag, so that one node of a Cluster has all of them."""
    return f"{{{service}:jobs:{queue}}}"
