"""Transactions with timeouts that never return a connection with an open transaction."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from tortoise.backends.base.client import NestedTransactionContext, TransactionalDBClient, TransactionContext
from tortoise.connection import get_connections

from sanicbase.db.background import spawn
from sanicbase.db.engine.outage import Outage
from sanicbase.db.engine.statements import EngineClient, WatchedClient, raise_translated
from sanicbase.db.engine.timeouts import TaskTimeout
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable, DeadlockError, SerializationError
from sanicbase.db.pending import Outcome, PendingEffects
from sanicbase.errors import SanicBaseError
from sanicbase.process.cancellation import run_shielded

__all__ = ["TRANSACTION_ENDED", "EngineTransaction", "may_be_in_transaction", "set_isolation", "transaction"]

ABORTING_ERRORS = (DatabaseTimeout, DatabaseUnavailable, DeadlockError, SerializationError)
UNKNOWN_OUTCOME = (DatabaseTimeout, DatabaseUnavailable, asyncio.CancelledError)
_inside: ContextVar[bool] = ContextVar("inside_transaction", default=False)
TRANSACTION_ENDED = "This transaction has ended. Start a new one, and start tasks that outlive it with spawn(…)."


class EngineTransaction(WatchedClient, TransactionalDBClient):
    """A transaction or a savepoint, mixed into Tortoise's for each driver.

    After an error by which the database may have ended it, such as a timeout or a deadlock, it refuses further
    statements and the commit: if the error was caught, the rest would be written without the statements before.

    Tasks may share it. While one has a savepoint open, the statements of the others wait, since its rollback would undo
    them, and the commit is refused.
    """

    _parent: Any
    _lock: asyncio.Lock
    _savepoint: str | None

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.root: EngineTransaction = parent.root if isinstance(parent, EngineTransaction) else self
        self._lock = self.root._lock  # Tortoise creates one for each savepoint, which would run at once
        self._savepoint = None
        self._finalized = False
        self._sealed = False  # from the start of the commit
        self._savepoint_lock = asyncio.Lock()  # held by the open savepoint in it
        self.outer: EngineTransaction | None = parent if isinstance(parent, EngineTransaction) else None
        self.writes_in_progress = 0  # watched writes whose notifications are not complete
        self.aborted_by: BaseException | None = None
        self.lost = False
        self.isolation: str | None = None
        self.pending: PendingEffects = self.root.pending if self.root is not self else PendingEffects()

    @property
    def client(self) -> EngineClient:
        """The client of the transaction."""
        client: EngineClient = self.root._parent
        return client

    @property
    def server(self) -> Outage:
        return self.client.outage

    @property
    def is_closed(self) -> bool:
        """Whether it, or an outer one, accepts no more statements."""
        is_closed = self._finalized or self._sealed or self.root._connection is None
        return is_closed or (self.outer is not None and self.outer.is_closed)

    def is_inside(self, other: EngineTransaction) -> bool:
        """Whether it is the other one, or a savepoint in it."""
        return self is other or (self.outer is not None and self.outer.is_inside(other))

    def acquire_connection(self) -> Any:
        return _Statement(self._innermost())

    def _in_transaction(self) -> TransactionContext:
        return _Savepoint(type(self)(self._innermost()))

    def _innermost(self) -> EngineTransaction:
        """The innermost savepoint of this task, if there is one."""
        current = get_connections().get(self.connection_name)
        if isinstance(current, EngineTransaction) and current.is_inside(self) and not current.is_closed:
            return current
        return self

    async def run(self, connection: Any, command: str) -> None:
        """Send BEGIN, COMMIT, ROLLBACK or a savepoint command."""
        raise NotImplementedError

    def is_ended_by_database(self, connection: Any) -> bool:
        """Override to detect that the database has rolled back by itself."""
        return False

    def beginning(self) -> list[str]:
        """The statements that begin it, at its `isolation` if set."""
        return [f"BEGIN ISOLATION LEVEL {self.isolation}" if self.isolation else "BEGIN"]

    async def begin(self) -> None:
        self._finalized = False
        for command in self.beginning():
            await self._run(command)

    async def commit(self) -> None:
        if self.writes_in_progress or self._savepoint_lock.locked():
            raise DatabaseError(
                "Another task is in the middle of a write or a savepoint of this transaction. Await it before the "
                "end, or start it with spawn(…)."
            )
        self._sealed = True
        if self._savepoint is not None:
            await self._end(f"RELEASE SAVEPOINT {self._savepoint}")
            self.pending.close_savepoint(self, keep=True)
        elif self.pending.has_pending:
            await self.pending.before_commit()
            await run_shielded(self._commit())
        else:
            await self._commit()

    async def rollback(self) -> None:
        self.aborted_by = None  # it refuses other statements
        if self._savepoint is not None:
            self.pending.close_savepoint(self, keep=False)
            await self._end(f"ROLLBACK TO SAVEPOINT {self._savepoint}")
        else:
            self.pending.outcome = self.pending.outcome or Outcome.ROLLED_BACK
            await self._end("ROLLBACK")

    async def savepoint(self) -> None:
        self._savepoint = f"sanicbase_{id(self):x}"
        await self._run(f"SAVEPOINT {self._savepoint}")

    async def savepoint_rollback(self) -> None:
        await self.rollback()

    async def release_savepoint(self) -> None:
        await self.commit()

    async def _commit(self) -> None:
        """Commit, and record the outcome; without an answer it is unknown."""
        try:
            async with _Statement(self, ending=True) as connection:
                self.pending.outcome = Outcome.UNKNOWN
                await self.run(connection, "COMMIT")
        except BaseException as exc:
            if not (self.lost or isinstance(exc, UNKNOWN_OUTCOME)):
                self.pending.outcome = None  # refused, or not sent
            raise
        self._finalized = True
        self.pending.outcome = Outcome.COMMITTED

    async def _end(self, command: str) -> None:
        await self._run(command)
        self._finalized = True

    async def _run(self, command: str) -> None:
        async with _Statement(self, ending=True) as connection:
            await self.run(connection, command)

    async def _acquire_savepoint_lock(self) -> None:
        """Wait until no savepoint is open in it, and reserve the next one."""
        try:
            async with asyncio.timeout(self.client.timeouts.acquire):
                await self._savepoint_lock.acquire()
        except TimeoutError as exc:
            raise DatabaseTimeout(
                "Another task has a savepoint open in this transaction, and did not end it within "
                f"{self.client.timeouts.acquire:g} seconds. Do not await a task outside the savepoint inside it."
            ) from exc


class _Statement:
    """The exclusive use of the transaction's connection by one statement.

    One that begins or ends a transaction or a savepoint does not wait for savepoints.
    """

    __slots__ = ("_ending", "_root", "_timeout", "_transaction")

    def __init__(self, transaction: EngineTransaction, *, ending: bool = False) -> None:
        self._transaction = transaction
        self._root = transaction.root
        self._ending = ending

    async def __aenter__(self) -> Any:
        root = self._root
        await self._lock()
        try:
            _check_open(self._transaction, ending=self._ending)
        except DatabaseError:
            root._lock.release()
            raise
        self._timeout = TaskTimeout(root.client.timeouts.client)
        return root._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        root = self._root
        try:
            error = self._timeout.end(error)
            if error is None:
                if root.server.states:
                    root.server.answered()
                return
            if root._connection is None:  # released, while an unawaited task used it
                raise_translated(root.client, error)
                return
            root.lost = not root.client.is_in_sync(root._connection, error)
            if root.lost or isinstance(error, asyncio.CancelledError) or root.is_ended_by_database(root._connection):
                root.aborted_by = error
            raise_translated(root.client, error)
        except ABORTING_ERRORS as exc:
            root.aborted_by = exc
            raise
        finally:
            root._lock.release()

    async def _lock(self) -> None:
        transaction, root = self._transaction, self._root
        await root._lock.acquire()
        while transaction._savepoint_lock.locked() and not self._ending:
            root._lock.release()
            await transaction._acquire_savepoint_lock()
            transaction._savepoint_lock.release()
            await root._lock.acquire()


def _check_open(transaction: EngineTransaction, *, ending: bool) -> None:
    root = transaction.root
    if root.aborted_by is not None:
        # The same class, for callers that retry the whole transaction.
        kind = (
            type(root.aborted_by) if isinstance(root.aborted_by, DeadlockError | SerializationError) else DatabaseError
        )
        raise kind("An earlier error has aborted this transaction. Start it again.") from root.aborted_by
    is_outer_closed = transaction.outer is not None and transaction.outer.is_closed
    if transaction._finalized or root._connection is None or is_outer_closed or (transaction._sealed and not ending):
        raise DatabaseError(TRANSACTION_ENDED)


def may_be_in_transaction() -> bool:
    """Whether the caller is in a transaction on any connection, or in a task that was started in one.

    It takes a twentieth of a microsecond; the connections of a model tell whether it is one of theirs.
    """
    return _inside.get()


def transaction(client: EngineTransaction) -> TransactionContext:
    """The context manager of a transaction: begun on entry, committed or rolled back on exit."""
    return _Transaction(client)


def set_isolation(context: TransactionContext, isolation: str) -> None:
    """Set the isolation level of a transaction that has not begun. Raises SanicBaseError for a savepoint."""
    if not isinstance(context, _Transaction):
        raise SanicBaseError("Only the outermost transaction has an isolation, and only on an engine of sanicbase.")
    context.transaction.isolation = isolation.upper()


class _Transaction(TransactionContext):
    __slots__ = ("_inside_token", "_token", "transaction")

    def __init__(self, transaction: EngineTransaction) -> None:
        self.transaction = transaction

    async def __aenter__(self) -> TransactionalDBClient:
        transaction = self.transaction
        transaction._connection = await transaction.client.acquire()
        try:
            await transaction.begin()
        except BaseException as exc:
            await self._close(exc)
            raise
        self._token = get_connections().set(transaction.connection_name, transaction)
        self._inside_token = _inside.set(True)
        return transaction

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            _inside.reset(self._inside_token)
            get_connections().reset(self._token)
            if error is None and not self.transaction._finalized:
                await self.transaction.commit()
        except BaseException as exc:
            error = exc
            raise
        finally:
            try:
                await self._close(error)
            finally:
                await self._run_effects(error)

    async def _run_effects(self, error: BaseException | None) -> None:
        """Run the pending effects; the caller waits, but its cancellation does not stop them."""
        if self.transaction.pending.has_pending:
            task = spawn(self.transaction.pending.run(), name="effects of a transaction")
            if not isinstance(error, asyncio.CancelledError):
                await asyncio.shield(task)

    async def _close(self, error: BaseException | None) -> None:
        """Roll back if it is open, and release the connection."""
        transaction, client = self.transaction, self.transaction.client
        cancelled = isinstance(error, asyncio.CancelledError)
        if cancelled and transaction._lock.locked():
            transaction.lost = True  # an unawaited task is executing a statement
        try:
            if not (transaction._finalized or transaction.lost or cancelled):
                await transaction.rollback()
        except DatabaseError:
            transaction.lost = True  # the original error is raised
        except BaseException:
            transaction.lost = True
            raise
        finally:
            connection, transaction._connection = transaction._connection, None
            transaction._finalized = True
            await client.release(connection, error, lost=transaction.lost)


class _Savepoint(NestedTransactionContext):
    __slots__ = ("_token",)

    async def __aenter__(self) -> TransactionalDBClient:
        transaction: Any = self.client
        await transaction.outer._acquire_savepoint_lock()
        try:
            await transaction.savepoint()
        except BaseException:
            transaction.outer._savepoint_lock.release()
            raise
        self._token = get_connections().set(transaction.connection_name, transaction)
        return self.client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        transaction: Any = self.client
        try:
            get_connections().reset(self._token)
            if error is None and not transaction._finalized:
                await transaction.commit()
        except BaseException as exc:
            error = exc
            raise
        finally:
            try:
                # Also when it was cancelled: the outer transaction may continue.
                if error is not None and not transaction._finalized and transaction.root.aborted_by is None:
                    await transaction.rollback()
            finally:
                transaction._finalized = True
                transaction.outer._savepoint_lock.release()
