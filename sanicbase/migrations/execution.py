"""How a statement of a migration is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db.errors import DatabaseError
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _

__all__ = ["check_foreign_keys", "execute", "without_foreign_keys"]


async def execute(db: BaseDBAsyncClient, statement: str) -> None:
    """Carry out one statement, inside of the transaction that is open."""
    # A script commits what is open on SQLite; elsewhere it is sent as it is, without a look for placeholders.
    if db.capabilities.dialect == "sqlite":
        await db.execute_query(statement)
    else:
        await db.execute_script(statement)


@asynccontextmanager
async def without_foreign_keys(client: BaseDBAsyncClient) -> AsyncIterator[None]:
    """On SQLite a table is rebuilt by dropping it, which must not delete what refers to it.

    The setting is the connection's, and can be changed outside of transactions only.
    https://www.sqlite.org/lang_altertable.html#otheralter
    """
    if client.capabilities.dialect != "sqlite":
        yield
        return
    await client.execute_query("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        with suppress(DatabaseError):  # of a session that is lost, and with it the setting
            await client.execute_query("PRAGMA foreign_keys = ON")


async def check_foreign_keys(db: BaseDBAsyncClient) -> None:
    """Raise MigrationError, before the end of the transaction, for references that nobody has looked at on SQLite."""
    if db.capabilities.dialect != "sqlite":
        return
    rows = await db.execute_query_dict("PRAGMA foreign_key_check")
    if rows:
        tables = ", ".join(sorted({str(row["table"]) for row in rows}))
        raise MigrationError(
            _(
                "Rows of {tables} would violate a foreign key. Nothing was applied. Correct the rows or the migration.",
                tables=tables,
            )
        )
