"""redis-py's client for a Cluster, with a bound at which callers wait, and with pauses between its tries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from redis.asyncio.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.asyncio.retry import Retry
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sanicbase.rc.connections import cluster_connection

__all__ = ["BoundedCluster"]

# Inside of a call that has its turn: how often it has failed. What it calls in turn does not wait again.
_failures: ContextVar[list[int] | None] = ContextVar("_failures", default=None)


class BoundedCluster(RedisCluster):
    """redis-py's RedisCluster, of which `limit` commands are under way at once; others wait, `timeout` seconds at most.

    redis-py bounds the connections to each node and raises at once when they are all in use. They are bounded here
    too, at twice the limit, since one that must be made anew is replaced before it has gone.
    """

    def __init__(
        self,
        nodes: Sequence[tuple[str, int]],
        *,
        limit: int,
        timeout: float,
        backoff: Any,
        retries: int,
        **options: Any,
    ) -> None:
        startup = [ClusterNode(host, port) for host, port in nodes]
        super().__init__(startup_nodes=startup, retry=Retry(backoff, retries), max_connections=2 * limit, **options)
        self._backoff = backoff
        self._free = asyncio.Semaphore(limit)
        self._patience = timeout
        kwargs = self.nodes_manager.connection_kwargs  # which redis-py shares with every node it finds
        kwargs["connection_class"] = cluster_connection(kwargs["connection_class"])
        for node in self.nodes_manager.startup_nodes.values():
            node.connection_class = kwargs["connection_class"]

    def pipeline(self, transaction: Any | None = None, shard_hint: Any | None = None) -> ClusterPipeline:
        """As redis-py's; it has its turn while it executes, or from its first WATCH on."""
        super().pipeline(transaction, shard_hint)  # which refuses a hint
        return _Pipeline(self, transaction)  # type: ignore[abstract]  # as redis-py makes its own

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """As redis-py's, in turn."""
        async with self.turn():
            return await super().execute_command(*args, **kwargs)

    async def _execute_command(self, target_node: ClusterNode, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._execute_command(target_node, *args, **kwargs)
        except (RedisConnectionError, RedisTimeoutError) as exc:
            # redis-py asks the nodes who serves the slot and tries again at once: ten tries would be over long before
            # a replica is promoted.
            failures = _failures.get()
            if failures is not None and not isinstance(exc, MaxConnectionsError):
                failures[0] += 1
                await asyncio.sleep(self._backoff.compute(failures[0]))
            raise

    async def end(self) -> None:
        """Close every connection. redis-py's `aclose` closes none while it has yet to ask anew who serves what."""
        await self.aclose()
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until one more command may be under way. Raises redis-py's ConnectionError after the timeout."""
        if _failures.get() is not None:
            yield
            return
        await self.take()
        token = _failures.set([0])
        try:
            yield
        finally:
            _failures.reset(token)
            self.give()

    async def take(self) -> None:
        """The beginning of a turn."""
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError as exc:
            raise RedisConnectionError("No connection available.") from exc

    def give(self) -> None:
        """The end of a turn."""
        self._free.release()


class _Pipeline(ClusterPipeline):
    def __init__(self, cluster: BoundedCluster, transaction: Any | None) -> None:
        super().__init__(cluster, transaction)
        self._cluster = cluster
        self._has_turn = False

    async def watch(self, *names: Any) -> Any:  # type: ignore[override]
        if not self._has_turn:
            await self._cluster.take()
            self._has_turn = True
        return await super().watch(*names)  # type: ignore[no-untyped-call]

    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> list[Any]:
        if not self._has_turn:
            await self._cluster.take()
            self._has_turn = True
        token = _failures.set([0])
        try:
            return await super().execute(raise_on_error, allow_redirections)
        finally:
            _failures.reset(token)

    async def reset(self) -> None:  # type: ignore[override]
        try:
            await super().reset()  # type: ignore[no-untyped-call]
        finally:
            if self._has_turn:
                self._has_turn = False
                self._cluster.give()
