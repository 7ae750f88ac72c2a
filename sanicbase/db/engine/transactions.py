"""Transactions that end in time, and that never give back a connection with something open."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from tortoise.backends.base.client import NestedTransactionContext, TransactionalDBClient, TransactionContext
from tortoise.connection import get_connections

from sanicbase.db.engine.limits import Limit
from sanicbase.db.engine.outage import Outage
from sanicbase.db.engine.statements import LimitedClient, WatchedClient, raise_translated
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable, DeadlockError, SerializationError
from sanicbase.db.pending import Outcome, Pending
from sanicbase.db.spawning import spawn
from sanicbase.errors import SanicBaseError
from sanicbase.process.cancellation import run_shielded

__all__ = ["OVER", "LimitedTransaction", "set_isolation", "transaction"]

ENDING = (DatabaseTimeout, DatabaseUnavailable, DeadlockError, SerializationError)
UNANSWERED = (DatabaseTimeout, DatabaseUnavailable, asyncio.CancelledError)
OVER = "This transaction is over. Begin another, and start tasks that outlive one by spawn(…)."


class LimitedTransaction(WatchedClient, TransactionalDBClient):
    """A transaction, or a savepoint in one, beside the one that Tortoise has for each driver.

    After an error by which the database may have ended it, a timeout or a deadlock, it refuses further statements and
    its commit: caught and forgotten, the rest would be written without what came before.

    Tasks may share it. While one of them has a savepoint open, the statements of the others wait, for its rollback
    would take them along; and nothing is committed while another task is in the middle of it.
    """

    _parent: Any
    _lock: asyncio.Lock
    _savepoint: str | None

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.root: LimitedTransaction = parent.root if isinstance(parent, LimitedTransaction) else self
        self._lock = self.root._lock  # Tortoise takes one for each savepoint, and two of them would speak at once
        self._savepoint = None
        self._finalized = False
        self._sealed = False  # from the commit on, though it has no answer yet
        self._turn = asyncio.Lock()  # of the savepoint that is open in it
        self.outer: LimitedTransaction | None = parent if isinstance(parent, LimitedTransaction) else None
        self.writing = 0  # writes that have begun and are not announced to their end
        self.ended_by: BaseException | None = None
        self.lost = False
        self.isolation: str | None = None
        self.pending: Pending = self.root.pending if self.root is not self else Pending()

    @property
    def client(self) -> LimitedClient:
        """The client whose transaction it is."""
        client: LimitedClient = self.root._parent
        return client

    @property
    def server(self) -> Outage:
        return self.client.outage

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more statements, or what is around it does not."""
        done = self._finalized or self._sealed or self.root._connection is None
        return done or (self.outer is not None and self.outer.is_closed)

    def is_inside(self, other: LimitedTransaction) -> bool:
        """Whether it is the other, or a savepoint in it."""
        return self is other or (self.outer is not None and self.outer.is_inside(other))

    def acquire_connection(self) -> Any:
        return _Statement(self._innermost())

    def _in_transaction(self) -> TransactionContext:
        return _Savepoint(type(self)(self._innermost()))

    def _innermost(self) -> LimitedTransaction:
        """The savepoint in it that this task is in, if it is in one: whoever names the outer means what is open now."""
        current = get_connections().get(self.connection_name)
        if isinstance(current, LimitedTransaction) and current.is_inside(self) and not current.is_closed:
            return current
        return self

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
        if self.writing or self._turn.locked():
            raise DatabaseError(
                "Another task is in the middle of a write or a savepoint of this transaction. Wait for it before the "
                "end, or start it by spawn(…)."
            )
        self._sealed = True
        if self._savepoint is not None:
            await self._end(f"RELEASE SAVEPOINT {self._savepoint}")
            self.pending.close_savepoint(self, kept=True)
        elif self.pending.has_pending:
            await self.pending.before_commit()
            await run_shielded(self._commit())
        else:
            await self._commit()

    async def rollback(self) -> None:
        self.ended_by = None  # which refuses everything else
        if self._savepoint is not None:
            self.pending.close_savepoint(self, kept=False)
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
        """Commit, and note how that ended: an answer that did not come may have been a yes."""
        try:
            async with _Statement(self, ending=True) as connection:
                self.pending.outcome = Outcome.UNKNOWN
                await self.run(connection, "COMMIT")
        except BaseException as exc:
            if not (self.lost or isinstance(exc, UNANSWERED)):
                self.pending.outcome = None  # the database has said no, or was not asked
            raise
        self._finalized = True
        self.pending.outcome = Outcome.COMMITTED

    async def _end(self, command: str) -> None:
        await self._run(command)
        self._finalized = True

    async def _run(self, command: str) -> None:
        async with _Statement(self, ending=True) as connection:
            await self.run(connection, command)

    async def _take_turn(self) -> None:
        """Wait until no savepoint is open in it, and have the turn to open one."""
        try:
            async with asyncio.timeout(self.client.limits.acquire):
                await self._turn.acquire()
        except TimeoutError as exc:
            raise DatabaseTimeout(
                "Another task has a savepoint open in this transaction, and did not end it within "
                f"{self.client.limits.acquire:g} seconds. A task outside of it must not be waited for inside of it."
            ) from exc


class _Statement:
    """The time in which one statement has the connection of its transaction for itself.

    One that begins or ends the transaction itself, or a savepoint, waits for no savepoint.
    """

    __slots__ = ("_ending", "_limit", "_root", "_transaction")

    def __init__(self, transaction: LimitedTransaction, *, ending: bool = False) -> None:
        self._transaction = transaction
        self._root = transaction.root
        self._ending = ending

    async def __aenter__(self) -> Any:
        root = self._root
        await self._lock()
        try:
            _refuse_ended(self._transaction, ending=self._ending)
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
                if root.server.states:
                    root.server.answered()
                return
            if root._connection is None:  # parted with, while this was under way in a task that was not waited for
                raise_translated(root.client, error)
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

    async def _lock(self) -> None:
        one, root = self._transaction, self._root
        await root._lock.acquire()
        while one._turn.locked() and not self._ending:
            root._lock.release()
            await one._take_turn()
            one._turn.release()
            await root._lock.acquire()


def _refuse_ended(one: LimitedTransaction, *, ending: bool) -> None:
    root = one.root
    if root.ended_by is not None:
        # The name stays, for whoever would try the whole transaction again.
        kind = type(root.ended_by) if isinstance(root.ended_by, DeadlockError | SerializationError) else DatabaseError
        raise kind("An earlier error has ended this transaction: begin it anew.") from root.ended_by
    around = one.outer is not None and one.outer.is_closed
    if one._finalized or root._connection is None or around or (one._sealed and not ending):
        raise DatabaseError(OVER)


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
        if self.transaction.pending.has_pending:
            payment = spawn(self.transaction.pending.run(), name="what follows a transaction")
            if not isinstance(error, asyncio.CancelledError):
                await asyncio.shield(payment)

    async def _leave(self, error: BaseException | None) -> None:
        """Roll back what is open, and part with the connection."""
        made, client = self.transaction, self.transaction.client
        cancelled = isinstance(error, asyncio.CancelledError)
        if cancelled and made._lock.locked():
            made.lost = True  # a task that nobody waits for has a statement under way
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
    __slots__ = ("_token",)

    async def __aenter__(self) -> TransactionalDBClient:
        made: Any = self.client
        await made.outer._take_turn()
        try:
            await made.savepoint()
        except BaseException:
            made.outer._turn.release()
            raise
        self._token = get_connections().set(made.connection_name, made)
        return self.client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        made: Any = self.client
        try:
            get_connections().reset(self._token)
            if error is None and not made._finalized:
                await made.commit()
        except BaseException as exc:
            error = exc
            raise
        finally:
            try:
                # Also when it was cancelled, and when it cannot be kept: the transaction around it may go on.
                if error is not None and not made._finalized and made.root.ended_by is None:
                    await made.rollback()
            finally:
                made._finalized = True
                made.outer._turn.release()
