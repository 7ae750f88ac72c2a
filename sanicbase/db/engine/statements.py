"""Statements that end in time, whose errors have names, and which leave no connection behind that is out of step.

What Tortoise does with a connection, it does inside `acquire_connection()`. So that is where a statement is given its
time, and where an error is renamed before Tortoise sees it.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db import labels  # noqa: F401  (every engine brings it, see there)
from sanicbase.db.engine.outage import Outage
from sanicbase.db.engine.timeouts import TaskTimeout, Timeouts
from sanicbase.db.errors import DatabaseUnavailable
from sanicbase.errors import SanicBaseError

__all__ = ["EngineClient", "OutageTrackingClient", "raise_translated"]

T = TypeVar("T")

WRITE = re.compile(r"[\s(]*(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


class OutageTrackingClient(BaseDBAsyncClient):
    """Notes a write that succeeds while the server takes none, as far as it is known: that is over."""

    @property
    def server(self) -> Outage:
        """What is known of the server."""
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
        return self._noting_write(query, call) if self.server.states else call

    async def _noting_write(self, query: str, call: Coroutine[Any, Any, T]) -> T:
        result = await call
        if WRITE.match(query):
            self.server.written()
        return result


class EngineClient(OutageTrackingClient):
    """What the clients of all drivers have in common, beside the one that Tortoise has for each."""

    timeouts: Timeouts
    outage: Outage

    @property
    def server(self) -> Outage:
        return self.outage

    @staticmethod
    def translate(error: BaseException) -> SanicBaseError | None:
        """What the driver's error is called in `sanicbase.db.errors`; None for one that is not a database's."""
        raise NotImplementedError

    async def acquire(self) -> Any:
        """A connection that is nobody else's until `part`, within `limits.acquire`."""
        raise NotImplementedError

    async def release(self, connection: Any, error: BaseException | None, *, lost: bool) -> None:
        """Give back the connection after what it was acquired for; `lost` when nothing more can be said on it."""
        raise NotImplementedError

    def is_in_sync(self, connection: Any, error: BaseException) -> bool:
        """Whether another statement can be sent, or the rollback at least, when one has ended like this."""
        raise NotImplementedError

    def acquire_connection(self) -> Any:
        return _Statement(self)


class _Statement:
    """The time in which one statement has a connection."""

    __slots__ = ("_client", "_connection", "_timeout")

    def __init__(self, client: EngineClient) -> None:
        self._client = client

    async def __aenter__(self) -> Any:
        client = self._client
        self._connection = await client.acquire()
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
            await client.release(connection, None, lost=False)
            return
        await client.release(connection, error, lost=not client.is_in_sync(connection, error))
        raise_translated(client, error)


def raise_translated(client: EngineClient, error: BaseException) -> None:
    """Raise what the error is called, and note what it says about the server.

    One that is nobody's of a database is not raised: it is on its way already.
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
