"""What follows a commit."""

from __future__ import annotations

from tortoise.backends.base.client import TransactionalDBClient
from tortoise.connection import get_connection

from sanicbase.db.engine.transactions import OVER, LimitedTransaction
from sanicbase.db.errors import DatabaseError
from sanicbase.db.unit import Effect, run_effect
from sanicbase.errors import SanicBaseError

__all__ = ["on_commit"]


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
        connection.unit.add_effect(effect, connection)
    elif isinstance(connection, TransactionalDBClient):
        raise SanicBaseError(f"The engine of the connection {using!r} is not one of sanicbase's: it has no effects.")
    else:
        await run_effect(effect)
