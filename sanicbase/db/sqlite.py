"""Tortoise's SQLite engine, whose transactions take the write lock when they begin.

A transaction that begins by reading and then writes is refused at once, whatever the timeout, when another process has
written in between ("database is locked"). One that begins as a writer waits for its turn. See
https://www.sqlite.org/lang_transaction.html, "Deferred, Immediate, and Exclusive transactions".
"""

from __future__ import annotations

import sqlite3

from tortoise.backends.base.client import TransactionalDBClient, TransactionContext
from tortoise.backends.sqlite import client
from tortoise.connection import get_connections
from tortoise.exceptions import OperationalError

__all__ = ["client_class"]


class _Transaction(client.SqliteTransactionWrapper):
    async def begin(self) -> None:
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as exc:
            raise OperationalError(exc) from exc


class _TransactionContext(client.SqliteTransactionContext):
    async def __aenter__(self) -> TransactionalDBClient:
        """Begin. When that fails, or is cancelled while it waits, the connection is free again for others."""
        entered = False
        await self._trxlock.acquire()
        try:
            await self.ensure_connection()
            self.token = get_connections().set(self.connection_name, self.connection)
            try:
                await self.connection.begin()
                entered = True
            finally:
                if not entered:
                    get_connections().reset(self.token)
                    await self.connection._connection.rollback()  # a BEGIN that was under way may have come through
        finally:
            if not entered:
                self._trxlock.release()
        connection: TransactionalDBClient = self.connection
        return connection


class client_class(client.SqliteClient):  # noqa: N801  (Tortoise looks for an engine's client by this name)
    """SQLite as several processes can share it."""

    def _in_transaction(self) -> TransactionContext:
        return _TransactionContext(_Transaction(self), self._lock)
