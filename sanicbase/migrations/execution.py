"""Sends the statements of a migration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db.errors import DatabaseError
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _

__all__ = ["check_foreign_keys", "execute", "without_foreign_keys"]


async def execute(db: BaseDBAsyncClient, statement: str) -> None:
    """Execute one statement in the open transaction."""
    # On SQLite, a script commits the open transaction; on other databases it is sent without placeholder parsing.
    if db.capabilities.dialect == "sqlite":
        await db.execute_query(statement)
    else:
        await db.execute_script(statement)


@asynccontextmanager
async def without_foreign_keys(client: BaseDBAsyncClient) -> AsyncIterator[None]:
    """Disable foreign keys on SQLite, where rebuilding a table drops it, which would delete referencing rows.

    The setting belongs to the connection and can only be changed outside transactions.
    https://www.sqlite.org/lang_altertable.html#otheralter
    """
    if client.capabilities.dialect != "sqlite":
        yield
        return
    await client.execute_query("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        with suppress(DatabaseError):  # the session is lost, and its setting with it
            await client.execute_query("PRAGMA foreign_keys = ON")


async def check_foreign_keys(db: BaseDBAsyncClient) -> None:
    """Raise MigrationError before the commit if rows violate foreign keys, which SQLite has not checked."""
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
