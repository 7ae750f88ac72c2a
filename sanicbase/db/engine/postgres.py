"""Tortoise's PostgreSQL engine on asyncpg, with our pool, timeouts and errors."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import TransactionContext
from tortoise.backends.base_postgres.schema_generator import BasePostgresSchemaGenerator

from sanicbase.config.tls import TLS, Level, TLSFailure
from sanicbase.db.engine.pool import CLOSE_TIMEOUT, Driver
from sanicbase.db.engine.pooled import PooledClient
from sanicbase.db.engine.session_state import TrackedConnection
from sanicbase.db.engine.timeouts import Timeouts
from sanicbase.db.engine.tls import POSTGRES_TLS, ssl_context, translated_tls_errors
from sanicbase.db.engine.transactions import EngineTransaction, transaction
from sanicbase.db.engine.translation import postgres_error
from sanicbase.db.engine.watching import watched
from sanicbase.db.errors import DatabaseError, DatabaseTLSError

__all__ = ["client_class"]

# Options of asyncpg's pool that a URL may have; the first has another name here.
POOL_OPTIONS = ("max_inactive_connection_lifetime", "max_queries", "min_size", "max_size")


class _Driver(Driver):
    translate = staticmethod(postgres_error)

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    async def connect(self) -> Any:
        with translated_tls_errors(POSTGRES_TLS):
            try:
                return await asyncpg.connect(**self._options)
            except ConnectionError as exc:
                if "rejected SSL upgrade" in str(exc):
                    raise DatabaseTLSError(TLSFailure.of_no_tls(POSTGRES_TLS)) from exc
                raise

    def is_closed(self, connection: Any) -> bool:
        return bool(connection.is_closed())

    def abort(self, connection: Any) -> None:
        connection.terminate()

    async def close(self, connection: Any) -> None:
        await connection.close(timeout=CLOSE_TIMEOUT)

    def is_in_sync(self, connection: Any, error: BaseException) -> bool:
        # asyncpg cancels a statement on the server as well, and the connection is usable afterwards. A read-only one
        # may lead to a former primary; a new connection finds its successor.
        known = isinstance(error, Exception | asyncio.CancelledError)
        wrong = isinstance(error, TimeoutError | asyncpg.InternalClientError | asyncpg.ReadOnlySQLTransactionError)
        return known and not wrong and not connection.is_closed()

    def needs_reset(self, connection: Any) -> bool:
        return bool(getattr(connection, "needs_reset", True))  # credentials may name another class of connections

    async def reset(self, connection: Any, limit: float | None) -> None:
        await connection.reset(timeout=limit)

    async def recover(self, connection: Any) -> None:
        await connection.execute("ROLLBACK")  # waits for asyncpg's cancellation
        await connection.reset()


class _Transaction(EngineTransaction, TransactionWrapper):
    async def run(self, connection: Any, command: str) -> None:
        # After a caught error PostgreSQL has aborted the transaction, and COMMIT rolls back without an error.
        if await connection.execute(command) == "ROLLBACK" and command == "COMMIT":
            self._finalized = True
            raise DatabaseError(
                "An error inside this transaction was caught, after which PostgreSQL commits nothing: the transaction "
                "was rolled back. Let the error propagate, or put the statement that may fail into a nested "
                "transaction()."
            )


def _escaped(self: BasePostgresSchemaGenerator, comment: str) -> str:
    """Replaces the method of Tortoise and aerich, whose backslashes become part of PostgreSQL's comment."""
    return comment.replace("'", "''")


BasePostgresSchemaGenerator._escape_comment = _escaped  # type: ignore[assignment,method-assign]


class client_class(PooledClient, AsyncpgDBClient):  # noqa: N801  (Tortoise looks for an engine's client by this name)
    """PostgreSQL; every session is in UTC, with a statement timeout."""

    connection_class = TrackedConnection
    translate = staticmethod(postgres_error)

    def __init__(self, **credentials: Any) -> None:
        if "max_inactive_connection_lifetime" in credentials:
            credentials.setdefault("idle_timeout", credentials["max_inactive_connection_lifetime"])
        timeouts = Timeouts.take(credentials)
        super().__init__(**{name: value for name, value in credentials.items() if name not in POOL_OPTIONS})
        self.set_timeouts(timeouts)

    def _tls(self) -> dict[str, Any]:
        """asyncpg's `ssl`. Without it asyncpg uses PGSSLMODE, or `prefer`."""
        tls = self.extra.get("ssl")
        if tls is None:
            return {}
        if isinstance(tls, TLS) and tls.level <= Level.PREFER:
            return {"ssl": tls.level.name.lower()}
        context = ssl_context(tls)
        if isinstance(tls, TLS):
            context.set_alpn_protocols(["postgresql"])  # PostgreSQL 17 requires it for `direct_tls`
        return {"ssl": context}

    def driver(self, *, with_db: bool) -> Driver:
        settings = {"timezone": "UTC", "application_name": self.application_name, "search_path": self.schema}
        if self.timeouts.statement:
            settings["statement_timeout"] = str(max(1, int(self.timeouts.statement * 1000)))
        return _Driver(
            {
                "host": self.host,
                "port": self.port,
                "user": self.user,
                "password": self.password,  # or a function, called for each connection
                "database": self.database if with_db else None,
                "connection_class": self.connection_class,
                "server_settings": {k: v for k, v in settings.items() if v} | self.server_settings,
                **self.extra,
                **self._tls(),
            }
        )

    def execute_query(self, query: str, values: list[Any] | None = None) -> Coroutine[Any, Any, Any]:
        if query.startswith("SELECT"):
            return watched(self.connection_name, query, self._select(query, values or ()))
        return super().execute_query(query, values)

    async def _select(self, query: str, values: Sequence[Any]) -> tuple[int, list[Any]]:
        """What Tortoise does for a SELECT, without its translation of errors, of which `translate` leaves none."""
        async with self.acquire_connection() as connection:
            self.log.debug("%s: %s", query, values)
            rows: list[Any] = await connection.fetch(query, *values)
        return len(rows), rows

    def _in_transaction(self) -> TransactionContext:
        return transaction(_Transaction(self))
