"""A session: one pinned connection, whose variables and locks last over statements."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connections

from sanicbase.db.engine.statements import EngineClient
from sanicbase.db.errors import DatabaseUnavailable
from sanicbase.errors import SanicBaseError

__all__ = ["session"]


@asynccontextmanager
async def session(connection_name: str) -> AsyncIterator[BaseDBAsyncClient]:
    """The client of that name on one pinned connection during the block; models use it as well.

    All statements and transactions in the block share the session. Its connection is closed at the end. A lost one is
    not replaced: further statements raise DatabaseUnavailable, since the session's locks are lost. Raises
    SanicBaseError for an engine that is not ours.
    """
    client: Any = get_connections().get(connection_name)
    if not isinstance(client, EngineClient):
        raise SanicBaseError(
            f"The connection {connection_name} has the engine {type(client).__module__}, which does not support "
            "sessions. Configure the database by a URL: sqlite://…, postgres://… or mysql://…"
        )
    pinned_connection = _PinnedConnection(await client.acquire())
    error: BaseException | None = None
    pinned: Any = copy.copy(client)
    pinned.is_session = True
    for method in ("take_idle", "give_back", "acquire", "release"):
        setattr(pinned, method, getattr(pinned_connection, method))
    token = get_connections().set(connection_name, pinned)
    try:
        yield pinned
    except BaseException as exc:
        error = exc
        raise
    finally:
        get_connections().reset(token)
        in_memory = getattr(client, "filename", "") == ":memory:"  # closing would lose it
        await client.release(pinned_connection.connection, error, lost=not in_memory)


class _PinnedConnection:
    """The pinned connection, in place of the client's pool."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._lost = False

    def take_idle(self) -> Any:
        return None if self._lost else self.connection

    def give_back(self, connection: Any) -> bool:
        return True

    async def acquire(self) -> Any:
        if self._lost:
            raise DatabaseUnavailable("The session was lost, with its locks. Start again.")
        return self.connection

    async def release(self, connection: Any, error: BaseException | None, *, lost: bool) -> None:
        self._lost = self._lost or lost
