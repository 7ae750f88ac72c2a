"""Connections and pools: redis-py's, mended where a cancelled caller or a failover would leave one unfit."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection, SSLConnection
from redis.asyncio.sentinel import (
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.exceptions import ConnectionError as RedisConnectionError

__all__ = ["SentinelPool", "cluster_connection", "fit", "sentinel_connection"]


def fit(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """The class with which a cancelled caller is told so, and leaves the connection in step."""
    return connection if sys.version_info >= (3, 12) else _keeping_cancellation(connection)


def _keeping_cancellation(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """Before Python 3.12 `asyncio.wait_for`, by which redis-py sends, may finish and forget that it was cancelled
    (https://github.com/python/cpython/issues/86296). The caller would go on, deaf to its cancellation."""

    class Keeping(connection):  # type: ignore[valid-type, misc]
        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
            task = asyncio.current_task()
            before = task.cancelling() if task else 0
            await super().send_packed_command(*args, **kwargs)
            if task and task.cancelling() > before:
                await self.disconnect(nowait=True)  # the answer of what was sent is nobody's
                raise asyncio.CancelledError

    return Keeping


class _Following:
    """A connection that asks the Sentinels again each time it was lost.

    redis-py's asks them when the pool hands it out; a command's further tries go to the address of the first one, which
    after a failover is a replica or nobody.
    """

    async def send_packed_command(self: Any, *args: Any, **kwargs: Any) -> None:
        if not self.is_connected:
            await self.connect_to(await self.connection_pool.get_master_address())
        await super().send_packed_command(*args, **kwargs)  # type: ignore[misc]


class _FollowingConnection(_Following, SentinelManagedConnection):
    pass


class _FollowingSSLConnection(_Following, SentinelManagedSSLConnection):
    pass


def sentinel_connection(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """The class for a master that Sentinels name, with TLS where `connection` has it."""
    return fit(_FollowingSSLConnection if issubclass(connection, SSLConnection) else _FollowingConnection)


def cluster_connection(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """The class for a node of a Cluster. Who learns that the Cluster is down closes the connections of everybody, and
    redis-py forgets that one may just begin to send."""

    class Shared(fit(connection)):  # type: ignore[misc]
        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
            try:
                await super().send_packed_command(*args, **kwargs)
            except AttributeError as exc:
                if exc.obj is not None:  # the writer, which is None once it is closed
                    raise
                raise RedisConnectionError("The connection was closed meanwhile.") from exc

    return Shared


class SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """redis-py's pool for Sentinels, whose callers wait for a connection.

    When the master changes, redis-py cuts the idle connections, of which one may be handed out at that very moment.
    Here whoever takes a connection, or gives it back, looks whether it leads to the master.
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
