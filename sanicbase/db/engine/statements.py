"""Statements with a timeout and translated errors that leave no unsynchronized connection behind.

Tortoise uses connections inside `acquire_connection()` only. So the timeout is set there, and errors are translated
there before Tortoise sees them.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db import labels  # noqa: F401  (for its effect on Tortoise, see there)
from sanicbase.db.engine.outage import Outage
from sanicbase.db.engine.timeouts import TaskTimeout, Timeouts
from sanicbase.db.engine.watching import watched
from sanicbase.db.errors import DatabaseUnavailable
from sanicbase.errors import SanicBaseError

__all__ = ["EngineClient", "WatchedClient", "raise_translated"]

T = TypeVar("T")

WRITE = re.compile(r"[\s(]*(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


class WatchedClient(BaseDBAsyncClient):
    """Its statements are watched, if statements are, and a successful write is recorded while the server is known to be
    read-only or full: that state has ended."""

    @property
    def server(self) -> Outage:
        """The outage of the server."""
        raise NotImplementedError

    def execute_insert(self, query: str, values: list[Any]) -> Coroutine[Any, Any, Any]:
        return self._watched(query, super().execute_insert(query, values))

    def execute_many(self, query: str, values: list[list[Any]]) -> Coroutine[Any, Any, None]:
        return self._watched(query, super().execute_many(query, values))

    def execute_query(self, query: str, values: list[Any] | None = None) -> Coroutine[Any, Any, Any]:
        return self._watched(query, super().execute_query(query, values))

    def execute_query_dict(self, query: str, values: list[Any] | None = None) -> Coroutine[Any, Any, Any]:
        return self._watched(query, super().execute_query_dict(query, values))

    def _watched(self, query: str, call: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        if self.server.states:
            call = self._noting_write(query, call)
        return watched(self.connection_name, query, call)

    async def _noting_write(self, query: str, call: Coroutine[Any, Any, T]) -> T:
        result = await call
        if WRITE.match(query):
            self.server.written()
        return result


class EngineClient(WatchedClient):
    """The common part of all drivers' clients, mixed into Tortoise's client."""

    timeouts: Timeouts
    outage: Outage
    is_session = False
    """Whether all statements take one connection, see session.py."""

    @property
    def server(self) -> Outage:
        return self.outage

    @staticmethod
    def translate(error: BaseException) -> SanicBaseError | None:
        """The exception of `sanicbase.db.errors` for the driver's error; None for other errors."""
        raise NotImplementedError

    def take_idle(self) -> Any:
        """Override to return an idle connection without waiting for it; None when `acquire` has to get one."""
        return None

    def give_back(self, connection: Any) -> bool:
        """Override to return a connection without waiting, after success; False when it needs `release`."""
        return False

    async def acquire(self) -> Any:
        """A connection for exclusive use until `release`, within `timeouts.acquire`."""
        raise NotImplementedError

    async def release(self, connection: Any, error: BaseException | None, *, lost: bool) -> None:
        """Return the connection after use; `lost` when it can no longer be used."""
        raise NotImplementedError

    def is_in_sync(self, connection: Any, error: BaseException) -> bool:
        """Whether the connection can execute another statement, at least a rollback, after this error."""
        raise NotImplementedError

    def acquire_connection(self) -> Any:
        return _Statement(self)


class _Statement:
    """The use of a connection by one statement."""

    __slots__ = ("_client", "_connection", "_timeout")

    def __init__(self, client: EngineClient) -> None:
        self._client = client

    async def __aenter__(self) -> Any:
        client = self._client
        connection = client.take_idle()
        self._connection = await client.acquire() if connection is None else connection
        self._timeout = TaskTimeout(client.timeouts.client)
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client, connection = self._client, self._connection
        error = self._timeout.end(error)
        if error is None:
            if client.outage.states:
                client.outage.answered()
            if not client.give_back(connection):
                await client.release(connection, None, lost=False)
            return
        await client.release(connection, error, lost=not client.is_in_sync(connection, error))
        raise_translated(client, error)


def raise_translated(client: EngineClient, error: BaseException) -> None:
    """Raise the translated error, and record what it says about the server.

    Returns for other errors, which propagate by themselves.
    """
    translated = client.translate(error)
    if translated is None:
        return
    if isinstance(translated, DatabaseUnavailable):
        client.outage.failed(error, translated.state)
    elif isinstance(error, TimeoutError):
        client.outage.failed(error)
    elif client.outage.states:
        client.outage.ended("away")
    raise translated from error
