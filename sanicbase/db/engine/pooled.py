"""Tortoise's client on our pool, for drivers that connect to a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from sanicbase.db.engine.outage import Outage
from sanicbase.db.engine.pool import Driver, Pool, PoolUsage
from sanicbase.db.engine.spans import describe_database
from sanicbase.db.engine.statements import EngineClient
from sanicbase.db.engine.timeouts import Timeouts
from sanicbase.db.errors import DatabaseUnavailable
from sanicbase.metrics import Gauge

__all__ = ["PooledClient", "set_pool_gauges"]

CONNECTIONS = Gauge(
    "sanicbase_db_pool_connections", "Connections to a server, `in_use` or `idle`.", ["database", "state"]
)
WAITING = Gauge("sanicbase_db_pool_waiting", "Callers that wait for a connection.", ["database"])


class PooledClient(EngineClient):
    """The common part of PostgreSQL and MySQL. `timeouts` and `outage` are set from the credentials."""

    host: Any
    port: int
    database: Any
    pool_maxsize: int
    _pool: Pool | None

    def driver(self, *, with_db: bool) -> Driver:
        """The driver that opens connections, to the database or only to its server."""
        raise NotImplementedError

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """Set the timeouts; called at the end of a client's `__init__`."""
        self.timeouts = timeouts
        self.outage = Outage(f"{self.connection_name} at {self.host}:{self.port}/{self.database}")
        describe_database(
            self.connection_name,
            self.capabilities.dialect,
            namespace=str(self.database),
            host=str(self.host),
            port=self.port,
        )

    async def create_connection(self, with_db: bool) -> None:
        """Create the pool, which connects on demand."""
        timeouts = self.timeouts
        driver = self.driver(with_db=with_db)
        self._pool = Pool(driver, size=self.pool_maxsize, timeout=timeouts.acquire, idle=timeouts.idle)
        await self._post_connect()

    @property
    def usage(self) -> PoolUsage:
        """The state of the pool."""
        return PoolUsage(0, 0, 0) if self._pool is None else self._pool.usage

    async def close(self) -> None:
        """Close the pool, after the statements that it is executing."""
        pool = self._pool
        if pool is None or pool.closed:
            return
        try:
            await pool.close()
        finally:
            self._pool = None

    def take_idle(self) -> Any:
        return None if self._pool is None else self._pool.take_idle()

    def give_back(self, connection: Any) -> bool:
        return self._pool is None or self._pool.give_back(connection)

    async def acquire(self) -> Any:
        if (connection := self.take_idle()) is not None:
            return connection
        try:
            connection = await (await self._opened()).acquire()
        except DatabaseUnavailable as exc:
            self.outage.failed(exc, exc.state)
            raise
        if self.outage.states:
            self.outage.connected()
        return connection

    async def release(self, connection: Any, error: BaseException | None, *, lost: bool) -> None:
        if self._pool is None:  # closed, with all its connections
            return
        if lost:
            self._pool.invalidate(connection)
        elif isinstance(error, asyncio.CancelledError):
            self._pool.recover(connection)
        else:
            await self._pool.release(connection, self.timeouts.client)

    def is_in_sync(self, connection: Any, error: BaseException) -> bool:
        return self._pool is not None and self._pool.driver.is_in_sync(connection, error)

    async def _opened(self) -> Pool:
        if self._pool is None:
            await self.create_connection(with_db=True)
        assert self._pool is not None  # noqa: S101  (no await in between)
        return self._pool


def set_pool_gauges(clients: Iterable[PooledClient]) -> None:
    """Set the gauges of the pools of these clients."""
    for client in clients:
        name, usage = client.connection_name, client.usage
        CONNECTIONS.set(usage.in_use, name, "in_use")
        CONNECTIONS.set(usage.idle, name, "idle")
        WAITING.set(usage.waiting, name)
