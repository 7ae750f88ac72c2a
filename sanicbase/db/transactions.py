"""Transactions that end in time, and that never give back a connection with something open."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from tortoise.backends.base.client import NestedTransactionContext, TransactionalDBClient, TransactionContext
from tortoise.connection import get_connections

from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable, DeadlockError, SerializationError
from sanicbase.db.statements import LimitedClient, ended, raise_translated

__all__ = ["LimitedTransaction", "transaction"]

ENDING = (DatabaseTimeout, DatabaseUnavailable, DeadlockError, SerializationError)


class LimitedTransaction(TransactionalDBClient):
    """A transaction, or a savepoint in one, beside the one that Tortoise has for each driver.

    After an error by which the database may have ended it, a timeout or a deadlock, it refuses further statements and
    its commit: caught and forgotten, the rest would be written without what came before.
    """

    BEGIN = "BEGIN"

    _parent: Any
    _lock: asyncio.Lock
    _savepoint: str | None

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.root: LimitedTransaction = parent.root if isinstance(parent, LimitedTransaction) else self
        self._lock = self.root._lock  # Tortoise takes one for each savepoint, and two of them would speak at once
        self._savepoint = None
        self.ended_by: BaseException | None = None
        self.lost = False

    @property
    def client(self) -> LimitedClient:
        """The client whose transaction it is."""
        client: LimitedClient = self.root._parent
        return client

    def acquire_connection(self) -> Any:
        return _Statement(self)

    def _in_transaction(self) -> TransactionContext:
        return _Savepoint(type(self)(self))

    async def run(self, connection: Any, command: str) -> None:
        """Send BEGIN, COMMIT, ROLLBACK or one about a savepoint."""
        raise NotImplementedError

    def is_over(self, connection: Any) -> bool:
        """Override to say that the database has rolled back by itself, where the connection knows it."""
        return False

    async def begin(self) -> None:
        self._finalized = False
        await self._run(self.BEGIN)

    async def commit(self) -> None:
        await self._end("COMMIT", "RELEASE SAVEPOINT")

    async def rollback(self) -> None:
        self.ended_by = None  # which refuses everything else
        await self._end("ROLLBACK", "ROLLBACK TO SAVEPOINT")

    async def savepoint(self) -> None:
        self._savepoint = f"sanicbase_{id(self):x}"
        await self._run(f"SAVEPOINT {self._savepoint}")

    async def savepoint_rollback(self) -> None:
        await self.rollback()

    async def release_savepoint(self) -> None:
        await self.commit()

    async def _end(self, whole: str, part: str) -> None:
        await self._run(whole if self._savepoint is None else f"{part} {self._savepoint}")
        self._finalized = True

    async def _run(self, command: str) -> None:
        async with self.acquire_connection() as connection:
            await self.run(connection, command)


class _Statement:
    """The time in which one statement has the connection of its transaction for itself."""

    __slots__ = ("_limit", "_root")

    def __init__(self, transaction: LimitedTransaction) -> None:
        self._root = transaction.root

    async def __aenter__(self) -> Any:
        root = self._root
        await root._lock.acquire()
        try:
            _refuse_ended(root)
        except DatabaseError:
            root._lock.release()
            raise
        self._limit = asyncio.timeout(root.client.limits.client)
        await self._limit.__aenter__()
        return root._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        root = self._root
        try:
            error = await ended(self._limit, kind, error, trace)
            if error is None:
                return
            root.lost = not root.client.is_in_step(root._connection, error)
            if root.lost or isinstance(error, asyncio.CancelledError) or root.is_over(root._connection):
                root.ended_by = error
            raise_translated(root.client, error)
        except ENDING as exc:
            root.ended_by = exc
            raise
        finally:
            root._lock.release()


def _refuse_ended(root: LimitedTransaction) -> None:
    if root.ended_by is not None:
        raise DatabaseError("An earlier error has ended this transaction: begin it anew.") from root.ended_by
    if root._finalized or root._connection is None:
        raise DatabaseError("This transaction is over. Begin another, also for a task that outlives this one.")


def transaction(made: LimitedTransaction) -> TransactionContext:
    """The context of a transaction that was not begun yet: begun on entry, committed or rolled back on exit."""
    return _Transaction(made)


class _Transaction(TransactionContext):
    __slots__ = ("_token", "_transaction")

    def __init__(self, made: LimitedTransaction) -> None:
        self._transaction = made

    async def __aenter__(self) -> TransactionalDBClient:
        made = self._transaction
        made._connection = await made.client.acquire()
        try:
            await made.begin()
        except BaseException as exc:
            await self._leave(exc)
            raise
        self._token = get_connections().set(made.connection_name, made)
        return made

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            get_connections().reset(self._token)
            if error is None and not self._transaction._finalized:
                await self._transaction.commit()
        except BaseException as exc:
            error = exc
            raise
        finally:
            await self._leave(error)

    async def _leave(self, error: BaseException | None) -> None:
        """Roll back what is open, and part with the connection."""
        made, client = self._transaction, self._transaction.client
        cancelled = isinstance(error, asyncio.CancelledError)
        try:
            if not (made._finalized or made.lost or cancelled):
                await made.rollback()
        except DatabaseError:
            made.lost = True  # and the error that led here is the one to be told
        except BaseException:
            made.lost = True
            raise
        finally:
            connection, made._connection = made._connection, None
            made._finalized = True
            await client.part(connection, error, lost=made.lost)


class _Savepoint(NestedTransactionContext):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        made: Any = self.client
        if made._finalized:
            return
        if error is None:
            await made.commit()
        elif made.root.ended_by is None and not isinstance(error, asyncio.CancelledError):
            await made.rollback()
