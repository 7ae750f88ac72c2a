"""transaction(): a block of statements that happen all or not at all; on_commit(): what follows it."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Literal, ParamSpec, TypeVar

from tortoise.backends.base.client import TransactionalDBClient, TransactionContext
from tortoise.connection import get_connection

from sanicbase.db.engine.transactions import OVER, LimitedTransaction, set_isolation
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DeadlockError, SerializationError
from sanicbase.db.pending import Effect, run_effect
from sanicbase.errors import SanicBaseError

__all__ = ["Isolation", "on_commit", "transaction"]

P = ParamSpec("P")
T = TypeVar("T")

Isolation = Literal["read committed", "repeatable read", "serializable"]

PAUSE, LONGEST_PAUSE = 0.02, 1.0  # seconds before a transaction is tried again; the pause doubles


class transaction:  # noqa: N801  (used like contextlib's own context managers)
    """A transaction on the connection `using`; inside of one on the same connection, a savepoint.

        async with transaction():
            ...

        @transaction(isolation="serializable", retry=3)
        async def transfer(...): ...

    `isolation` is the database's own default when it is None; SQLite is always serializable. `timeout` is for the whole
    block, in seconds. A function can be tried again, up to `retry` times, when the database gave it up for another
    transaction's sake: decorated with `retry` it must bear that. Inside of an open transaction it is not, for only the
    whole can be tried again.

    Tasks started inside of it share it, and are to be waited for inside of it: when one is in the middle of a savepoint
    or of a watched write, nothing is committed. What one does outside of a savepoint waits while another has one open,
    as long as for a connection (DB_ACQUIRE_TIMEOUT). What must outlive the block is started by `spawn`.

    Raises DatabaseTimeout after `timeout`, SerializationError or DeadlockError when no try was left, SanicBaseError
    when a block is asked to retry, or a savepoint to have an isolation of its own.
    """

    def __init__(
        self,
        using: str = "default",
        *,
        isolation: Isolation | None = None,
        timeout: float | None = None,
        retry: int = 0,
    ) -> None:
        self._using = using
        self._isolation = isolation
        self._timeout = timeout
        self._retry = retry
        self._context: TransactionContext
        self._limit: asyncio.Timeout

    def __call__(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """Run every call of the function in a transaction of its own."""

        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> T:
            nested = isinstance(get_connection(self._using), LimitedTransaction)
            left = 0 if nested else self._retry
            pause = PAUSE
            while True:
                try:
                    async with transaction(self._using, isolation=self._isolation, timeout=self._timeout):
                        return await function(*args, **kwargs)
                except (SerializationError, DeadlockError):
                    if not left:
                        raise
                left -= 1
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  (no secret)
                pause = min(2 * pause, LONGEST_PAUSE)

        return run

    async def __aenter__(self) -> TransactionalDBClient:
        if self._retry:
            raise SanicBaseError("A block cannot be run again. Decorate a function with transaction(retry=…).")
        self._context = get_connection(self._using)._in_transaction()
        if self._isolation:
            set_isolation(self._context, self._isolation)
        self._limit = asyncio.timeout(self._timeout)
        await self._limit.__aenter__()
        try:
            return await self._context.__aenter__()
        except BaseException as exc:
            await self._end_limit(type(exc), exc, exc.__traceback__)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and not self._limit.expired():
            self._limit.reschedule(None)  # the commit has limits of its own, and is not left half-way
        try:
            await self._context.__aexit__(kind, error, trace)
        except BaseException as exc:  # the limit may have cut the rollback short
            await self._end_limit(type(exc), exc, exc.__traceback__)
            raise
        await self._end_limit(kind, error, trace)

    async def _end_limit(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as exc:
            raise DatabaseTimeout(f"The transaction took longer than {self._timeout:g} seconds.") from exc


async def on_commit(effect: Effect, *, using: str = "default") -> None:
    """Run `effect` after the transaction that is open on the connection `using` has committed; without one, at once.

        await on_commit(lambda: send_mail(user))
        await on_commit(partial(queue.put, article.id))

    A function without arguments, plain or async. Effects run in the order of their registration, outside of the
    transaction, and whoever opened the transaction waits for them. Those of a transaction or a savepoint that is rolled
    back never run. One that fails is logged, and the others run. They are lost with a process that is killed between
    the commit and them: what must not be lost belongs into a table, written in the same transaction.

    Raises DatabaseError in a task that has outlived the transaction.
    """
    connection = get_connection(using)
    if isinstance(connection, LimitedTransaction):
        if connection.is_closed:
            raise DatabaseError(OVER)
        connection.pending.add_effect(effect, connection)
    elif isinstance(connection, TransactionalDBClient):
        raise SanicBaseError(f"The engine of the connection {using!r} is not one of sanicbase's: it has no effects.")
    else:
        await run_effect(effect)
