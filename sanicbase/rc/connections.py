"""Subclasses of redis-py's connections and pools that survive a cancelled caller and a failover."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

__all__ = [
    "RetryUnlessRefused",
    "SentinelPool",
    "cancellation_safe",
    "cluster_connection_class",
    "sentinel_connection_class",
]

T = TypeVar("T")


class RetryUnlessRefused(Retry):
    """Retries everything but a refused password.

    redis-py takes that for a lost connection: ten attempts may last longer than CONNECT_TIMEOUT, and the start would
    report a server that does not answer.
    """

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[T]],
        fail: Callable[[Exception], Any] | Callable[[Exception, int], Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """Return the result of `do`, or raise its last error."""

        def may_pass(error: Exception) -> bool:
            return not isinstance(error, AuthenticationError) and (is_retryable is None or is_retryable(error))

        return await super().call_with_retry(do, fail, may_pass, with_failure_count)


def cancellation_safe(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """The class whose cancelled callers receive CancelledError and leave no unread answer behind."""
    return connection if sys.version_info >= (3, 12) else _raising_cancellation(connection)


def _raising_cancellation(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """Before Python 3.12 `asyncio.wait_for`, by which redis-py sends, may swallow a cancellation
    (https://github.com/python/cpython/issues/86296)."""

    class CancellationSafe(connection):  # type: ignore[valid-type, misc]
        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
            task = asyncio.current_task()
            before = task.cancelling() if task else 0
            await super().send_packed_command(*args, **kwargs)
            if task and task.cancelling() > before:
                await self.disconnect(nowait=True)  # nobody would read the answer
                raise asyncio.CancelledError

    return CancellationSafe


class _SentinelReconnect:
    """A connection that asks the Sentinels for the master each time it reconnects.

    redis-py's asks them only when the pool hands it out; the retries of a command go to the first address, which
    after a failover is that of a replica, or of no server.
    """

    async def send_packed_command(self: Any, *args: Any, **kwargs: Any) -> None:
        if not self.is_connected:
            await self.connect_to(await self.connection_pool.get_master_address())
        await super().send_packed_command(*args, **kwargs)  # type: ignore[misc]


class _SentinelConnection(_SentinelReconnect, SentinelManagedConnection):
    pass


class _SentinelSSLConnection(_SentinelReconnect, SentinelManagedSSLConnection):
    pass


def sentinel_connection_class(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """The class for a master that Sentinels name, with TLS where `connection` has it."""
    return cancellation_safe(_SentinelSSLConnection if issubclass(connection, SSLConnection) else _SentinelConnection)


def cluster_connection_class(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """The class for a node of a Cluster. A caller that learns that the Cluster is down closes all connections, and
    redis-py does not expect that another caller is just starting to send."""

    class ClusterConnection(cancellation_safe(connection)):  # type: ignore[misc]
        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
            try:
                await super().send_packed_command(*args, **kwargs)
            except AttributeError as exc:
                if exc.obj is not None:  # not the writer of a closed connection
                    raise
                raise RedisConnectionError("The connection was closed.") from exc

    return ClusterConnection


class SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """redis-py's pool for Sentinels, with waiting callers.

    When the master changes, redis-py disconnects the idle connections, one of which may just be handed out. Here the
    address is compared with the master's when a connection is taken and when it is given back.
    """

    async def get_master_address(self) -> tuple[str, int]:
        address: tuple[str, int] = await self.sentinel_manager.discover_master(self.service_name)
        self.master_address = address
        return address

    async def ensure_connection(self, connection: AbstractConnection) -> None:
        if connection.is_connected and self._address(connection) != self.master_address:
            await connection.disconnect(nowait=True)
        await super().ensure_connection(connection)

    async def release(self, connection: AbstractConnection) -> None:
        if connection.is_connected and self._address(connection) != self.master_address:
            connection.mark_for_reconnect()
        await super().release(connection)

    def _address(self, connection: Any) -> tuple[str, int]:
        return connection.host, connection.port
