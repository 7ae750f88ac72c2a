"""Tortoise's SQLite engine, with our timeouts and errors, and transactions that take the write lock when they begin.

A transaction that reads first and writes later fails at once, whatever the timeout, when another process has written in
between ("database is locked"). One that begins as a writer waits for the lock. See
https://www.sqlite.org/lang_transaction.html, "Deferred, Immediate, and Exclusive transactions".
"""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import datetime, time
from pathlib import Path
from typing import Any

import aiosqlite
from tortoise.backends.base.client import TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper

from sanicbase.db.engine.outage import Outage
from sanicbase.db.engine.spans import describe_database
from sanicbase.db.engine.statements import EngineClient, raise_translated
from sanicbase.db.engine.timeouts import GRACE, TaskTimeout, Timeouts
from sanicbase.db.engine.transactions import EngineTransaction, transaction
from sanicbase.db.engine.translation import SQLITE_REOPENED, sqlite_error
from sanicbase.db.engine.utc import to_utc
from sanicbase.db.errors import DatabaseTimeout

__all__ = ["client_class"]


# Replaces Tortoise's: SQLite compares times as text, so they must be in one zone.
sqlite3.register_adapter(datetime, lambda moment: to_utc(moment).isoformat(" "))
sqlite3.register_adapter(time, lambda hour: to_utc(hour).isoformat())


class _Transaction(EngineTransaction, SqliteTransactionWrapper):
    def beginning(self) -> list[str]:
        return ["BEGIN IMMEDIATE"]  # always serializable

    async def run(self, connection: Any, command: str) -> None:
        # Both succeed without an open transaction: SQLite may have rolled back, and a script commits.
        if command == "ROLLBACK":
            await connection.rollback()
        elif command == "COMMIT":
            await connection.commit()
        else:
            await connection.execute_fetchall(command)

    def is_ended_by_database(self, connection: Any) -> bool:
        return not connection.in_transaction


class client_class(EngineClient, SqliteClient):  # noqa: N801  (Tortoise looks for an engine's client by this name)
    """SQLite shared by several processes, each with one connection that tasks use by turns."""

    translate = staticmethod(sqlite_error)

    def __init__(self, file_path: str, **credentials: Any) -> None:
        self.timeouts = Timeouts.take(credentials)
        if self.timeouts.statement:
            credentials.setdefault("busy_timeout", max(1, int(self.timeouts.statement * 1000)))
        super().__init__(file_path, **credentials)
        self.outage = Outage(f"{self.connection_name} in {file_path}")
        describe_database(self.connection_name, self.capabilities.dialect, namespace=Path(file_path).name)

    async def create_connection(self, with_db: bool) -> None:
        """As Tortoise's, but when it fails, the thread of the connection has ended: one that is still ending when the
        loop is closed would write a traceback."""
        if self._connection is not None:
            return
        opened = aiosqlite.connect(self.filename, isolation_level=None)
        try:
            self._connection = await opened
        except BaseException:
            await asyncio.to_thread(opened._thread.join)
            raise
        opened.row_factory = sqlite3.Row
        for pragma, value in self.pragmas.items():
            await opened.execute_fetchall(f"PRAGMA {pragma}={value}")
        await self._post_connect()

    async def acquire(self) -> Any:
        await self._acquire_lock()
        try:
            if self._connection is None:
                await self._connect()
        except BaseException:
            self._lock.release()
            raise
        return self._connection

    async def release(self, connection: Any, error: BaseException | None, *, lost: bool) -> None:
        try:
            if error is not None:
                # Queued in the connection's thread before the next caller's statements.
                async with asyncio.timeout(GRACE):
                    await connection.rollback()
        except Exception as exc:
            self.log.debug("The rollback after %r failed: %r", error, exc)
        finally:
            try:
                if lost:
                    await self._discard()
            finally:
                self._lock.release()

    def is_in_sync(self, connection: Any, error: BaseException) -> bool:
        if isinstance(error, TimeoutError | asyncio.CancelledError):
            connection._conn.interrupt()  # the abandoned statement
        reopened = getattr(error, "sqlite_errorcode", 0) & 0xFF in SQLITE_REOPENED
        return not reopened or self.filename == ":memory:"

    def _in_transaction(self) -> TransactionContext:
        return transaction(_Transaction(self))

    async def _acquire_lock(self) -> None:
        limit = TaskTimeout(self.timeouts.acquire)
        try:
            await self._lock.acquire()
            limit.end(None)
        except asyncio.CancelledError as exc:
            if limit.end(exc) is exc:
                raise
            raise DatabaseTimeout(
                f"The SQLite database was not free within {self.timeouts.acquire:g} seconds: a process has one "
                "connection to it, which a transaction holds until its end. Keep transactions shorter."
            ) from exc

    async def _connect(self) -> None:
        try:
            await self.create_connection(with_db=True)
        except Exception as exc:
            await self._discard()
            raise_translated(self, exc)
            raise
        except BaseException:
            await self._discard()
            raise

    async def _discard(self) -> None:
        """Close the connection; the next statement opens another one."""
        if self._connection is not None:
            await self.close()
