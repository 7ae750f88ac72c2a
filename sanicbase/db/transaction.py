"""transaction(): an atomic block of statements; on_commit(): effects that run after it."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Literal, ParamSpec, TypeVar

from tortoise.backends.base.client import TransactionalDBClient, TransactionContext
from tortoise.connection import get_connection

from sanicbase.db.engine.transactions import TRANSACTION_ENDED, EngineTransaction, set_isolation
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DeadlockError, SerializationError
from sanicbase.db.pending import Effect, run_effect
from sanicbase.errors import SanicBaseError

__all__ = ["Isolation", "on_commit", "transaction"]

P = ParamSpec("P")
T = TypeVar("T")

Isolation = Literal["read committed", "repeatable read", "serializable"]

PAUSE, MAX_PAUSE = 0.02, 1.0  # seconds before a retry; the pause doubles


class transaction:  # noqa: N801  (used like contextlib's own context managers)
    """A transaction on the connection `using`, or a savepoint inside one on the same connection.

        async with transaction():
            ...

        @transaction(isolation="serializable", retry=3)
        async def transfer(...): ...

    `isolation` None is the database's default; SQLite is always serializable. `timeout` is for the whole block, in
    seconds. A decorated function is called again, up to `retry` times, after a serialization failure or a deadlock, so
    it must be safe to repeat. Inside an open transaction it is not, since only the whole transaction can be retried.

    Tasks started inside share the transaction and must be awaited inside: while one is in the middle of a savepoint or
    of a watched write, the commit is refused. Statements outside a savepoint wait while another task has one open, up
    to DB_ACQUIRE_TIMEOUT. Start tasks that outlive the block with `spawn`.

    Raises DatabaseTimeout after `timeout`, SerializationError or DeadlockError after the last attempt, SanicBaseError
    for `retry` on a block and for the isolation of a savepoint.
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
            nested = isinstance(get_connection(self._using), EngineTransaction)
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
                pause = min(2 * pause, MAX_PAUSE)

        return run

    async def __aenter__(self) -> TransactionalDBClient:
        if self._retry:
            raise SanicBaseError("A block cannot be retried. Decorate a function with transaction(retry=…).")
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
            self._limit.reschedule(None)  # the commit has its own timeout
        try:
            await self._context.__aexit__(kind, error, trace)
        except BaseException as exc:  # the timeout may have interrupted the rollback
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
    """Run `effect` after the open transaction on the connection `using` has committed, or at once without one.

        await on_commit(lambda: send_mail(user))
        await on_commit(partial(queue.put, article.id))

    A function without arguments, plain or async. Effects run in the order of their registration, outside the
    transaction, and the end of the block waits for them. A rollback of the transaction or the savepoint drops them. A
    failure is logged, and the others run. They are lost when the process is killed after the commit: write to a table
    in the same transaction what must not be lost.

    Raises DatabaseError in a task that has outlived the transaction.
    """
    connection = get_connection(using)
    if isinstance(connection, EngineTransaction):
        if connection.is_closed:
            raise DatabaseError(TRANSACTION_ENDED)
        connection.pending.add_effect(effect, connection)
    elif isinstance(connection, TransactionalDBClient):
        raise SanicBaseError(f"The engine of the connection {using!r} is not one of sanicbase, so it has no on_commit.")
    else:
        await run_effect(effect)
