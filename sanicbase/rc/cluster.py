"""redis-py's client of a Cluster, with a bound on concurrent commands and with backoff."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from redis.asyncio.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.asyncio.retry import Retry
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sanicbase.rc.connections import cluster_connection_class
from sanicbase.rc.metered import RequestTimes
from sanicbase.rc.spans import PIPELINE, request_span

__all__ = ["BoundedCluster"]

# The failures of the current command, which holds a permit; nested calls need no other one.
_failures: ContextVar[list[int] | None] = ContextVar("_failures", default=None)


class BoundedCluster(RedisCluster):
    """redis-py's RedisCluster that runs `limit` commands at once; others wait up to `timeout` seconds.

    redis-py bounds the connections of each node, and raises at once when all are in use. They are bounded here as
    well, at twice the limit, since a connection is replaced before it is closed. `times` has those of its requests.
    """

    def __init__(
        self,
        nodes: Sequence[tuple[str, int]],
        *,
        limit: int,
        timeout: float,
        backoff: Any,
        retries: int,
        times: RequestTimes | None = None,
        **options: Any,
    ) -> None:
        startup = [ClusterNode(host, port) for host, port in nodes]
        super().__init__(startup_nodes=startup, retry=Retry(backoff, retries), max_connections=2 * limit, **options)
        self._backoff = backoff
        self._permits = asyncio.Semaphore(limit)
        self._timeout = timeout
        self.times = times
        kwargs = self.nodes_manager.connection_kwargs  # shared with every discovered node
        kwargs["connection_class"] = cluster_connection_class(kwargs["connection_class"])
        for node in self.nodes_manager.startup_nodes.values():
            node.connection_class = kwargs["connection_class"]

    def pipeline(self, transaction: Any | None = None, shard_hint: Any | None = None) -> ClusterPipeline:
        """redis-py's pipeline; it holds a permit while it executes, or from its first WATCH on."""
        super().pipeline(transaction, shard_hint)  # refuses a hint
        return _Pipeline(self, transaction)  # type: ignore[abstract]  # as redis-py makes its own

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """redis-py's, with a permit."""
        started = perf_counter()
        try:
            with request_span(args[0], {}):
                async with self.permit():
                    return await super().execute_command(*args, **kwargs)
        finally:
            if self.times is not None:
                self.times.observe(args[0], perf_counter() - started)

    async def _execute_command(self, target_node: ClusterNode, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._execute_command(target_node, *args, **kwargs)
        except (RedisConnectionError, RedisTimeoutError) as exc:
            # redis-py refreshes the topology and retries at once: ten attempts would end long before a replica is
            # promoted.
            failures = _failures.get()
            if failures is not None and not isinstance(exc, MaxConnectionsError):
                failures[0] += 1
                await asyncio.sleep(self._backoff.compute(failures[0]))
            raise

    async def close_connections(self) -> None:
        """Close every connection. redis-py's `aclose` closes none while its topology waits for a refresh."""
        await self.aclose()
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """A permit for one command. Raises redis-py's ConnectionError after the timeout."""
        if _failures.get() is not None:
            yield
            return
        await self.acquire_permit()
        token = _failures.set([0])
        try:
            yield
        finally:
            _failures.reset(token)
            self.release_permit()

    async def acquire_permit(self) -> None:
        """Wait for a permit. Raises redis-py's ConnectionError after the timeout."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._permits.acquire()
        except TimeoutError as exc:
            raise RedisConnectionError("No connection available.") from exc

    def release_permit(self) -> None:
        """Give back a permit."""
        self._permits.release()


class _Pipeline(ClusterPipeline):
    def __init__(self, cluster: BoundedCluster, transaction: Any | None) -> None:
        super().__init__(cluster, transaction)
        self._cluster = cluster
        self._has_permit = False

    async def watch(self, *names: Any) -> Any:  # type: ignore[override]
        if not self._has_permit:
            await self._cluster.acquire_permit()
            self._has_permit = True
        return await super().watch(*names)  # type: ignore[no-untyped-call]

    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> list[Any]:
        started = perf_counter()
        if not self._has_permit:
            await self._cluster.acquire_permit()
            self._has_permit = True
        token = _failures.set([0])
        try:
            with request_span(PIPELINE, {}, batch=len(self)):
                return await super().execute(raise_on_error, allow_redirections)
        finally:
            _failures.reset(token)
            if self._cluster.times is not None:
                self._cluster.times.observe(PIPELINE, perf_counter() - started)

    async def reset(self) -> None:  # type: ignore[override]
        try:
            await super().reset()  # type: ignore[no-untyped-call]
        finally:
            if self._has_permit:
                self._has_permit = False
                self._cluster.release_permit()
