"""Transactions that end in time, and that never give back a connection with something open."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from tortoise.backends.base.client import NestedTransactionContext, TransactionalDBClient, TransactionContext
from tortoise.connection import get_connections

from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable, DeadlockError, SerializationError
from sanicbase.db.limits import Limit
from sanicbase.db.spawning import settled, spawn
from sanicbase.db.statements import LimitedClient, raise_translated
from sanicbase.db.unit import Outcome, Unit
from sanicbase.errors import SanicBaseError

__all__ = ["LimitedTransaction", "set_isolation", "transaction"]

ENDING = (DatabaseTimeout, DatabaseUnavailable, DeadlockError, SerializationError)


class LimitedTransaction(TransactionalDBClient):
    """A transaction, or a savepoint in one, beside the one that Tortoise has for each driver.

    After an error by which the database may have ended it, a timeout or a deadlock, it refuses further statements and
    its commit: caught and forgotten, the rest would be written without what came before.
    """

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
        self.isolation: str | None = None
        self.unit: Unit = self.root.unit if self.root is not self else Unit()
        self._depth = 0

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

    def beginning(self) -> list[str]:
        """The statements that begin it, at its `isolation` if it has one."""
        return [f"BEGIN ISOLATION LEVEL {self.isolation}" if self.isolation else "BEGIN"]

    async def begin(self) -> None:
        self._finalized = False
        for command in self.beginning():
            await self._run(command)

    async def commit(self) -> None:
        if self._savepoint is not None:
            await self._end(f"RELEASE SAVEPOINT {self._savepoint}")
            self.unit.close_savepoint(self._depth, kept=True)
        elif self.unit.owes:
            await settled(self._commit())
        else:
            await self._end("COMMIT")

    async def rollback(self) -> None:
        self.ended_by = None  # which refuses everything else
        if self._savepoint is not None:
            self.unit.close_savepoint(self._depth, kept=False)
            await self._end(f"ROLLBACK TO SAVEPOINT {self._savepoint}")
        else:
            self.unit.outcome = self.unit.outcome or Outcome.ROLLED_BACK
            await self._end("ROLLBACK")

    async def savepoint(self) -> None:
        self._savepoint = f"sanicbase_{id(self):x}"
        await self._run(f"SAVEPOINT {self._savepoint}")
        self._depth = self.unit.open_savepoint()

    async def savepoint_rollback(self) -> None:
        await self.rollback()

    async def release_savepoint(self) -> None:
        await self.commit()

    async def _commit(self) -> None:
        """Commit, and note how that ended: an answer that did not come may have been a yes."""
        try:
            await self._end("COMMIT")
        except (DatabaseUnavailable, DatabaseTimeout):
            self.unit.outcome = Outcome.UNKNOWN
            raise
        self.unit.outcome = Outcome.COMMITTED

    async def _end(self, command: str) -> None:
        await self._run(command)
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
        self._limit = Limit(root.client.limits.client)
        return root._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        root = self._root
        try:
            error = self._limit.end(error)
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
        raise DatabaseError("This transaction is over. Begin another, and start tasks that outlive one by spawn(…).")


def transaction(made: LimitedTransaction) -> TransactionContext:
    """The context of a transaction that was not begun yet: begun on entry, committed or rolled back on exit."""
    return _Transaction(made)


def set_isolation(context: TransactionContext, isolation: str) -> None:
    """Have a transaction that was not begun yet begin at this level. Raises SanicBaseError where it cannot."""
    if not isinstance(context, _Transaction):
        raise SanicBaseError("Only the outermost transaction has an isolation, and on an engine of sanicbase's.")
    context.transaction.isolation = isolation.upper()


class _Transaction(TransactionContext):
    __slots__ = ("_token", "transaction")

    def __init__(self, made: LimitedTransaction) -> None:
        self.transaction = made

    async def __aenter__(self) -> TransactionalDBClient:
        made = self.transaction
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
            if error is None and not self.transaction._finalized:
                await self.transaction.commit()
        except BaseException as exc:
            error = exc
            raise
        finally:
            try:
                await self._leave(error)
            finally:
                await self._pay(error)

    async def _pay(self, error: BaseException | None) -> None:
        """Do what was to be done when the transaction has ended, whatever happens to the caller, who waits for it."""
        if self.transaction.unit.owes:
            payment = spawn(self.transaction.unit.pay(), name="what follows a transaction")
            if not isinstance(error, asyncio.CancelledError):
                await asyncio.shield(payment)

    async def _leave(self, error: BaseException | None) -> None:
        """Roll back what is open, and part with the connection."""
        made, client = self.transaction, self.transaction.client
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
        elif made.root.ended_by is None:
            await made.rollback()  # also when it is cancelled: the transaction around it may go on
