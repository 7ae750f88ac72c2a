"""What tables a database has, read from its catalogue: columns, keys, indexes, foreign keys and comments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.migrations.introspection import mysql, postgres, sqlite
from sanicbase.migrations.introspection.tables import ColumnInfo, ForeignKeyInfo, IndexInfo, TableInfo
from sanicbase.migrations.statements import Dialect

__all__ = ["ColumnInfo", "ForeignKeyInfo", "IndexInfo", "TableInfo", "read_tables"]

Reader = Callable[[BaseDBAsyncClient, Collection[str] | None], Awaitable[dict[str, TableInfo]]]

READERS: dict[Dialect, Reader] = {
    "postgres": postgres.read_tables,
    "mysql": mysql.read_tables,
    "sqlite": sqlite.read_tables,
}


async def read_tables(
    client: BaseDBAsyncClient, dialect: Dialect, names: Collection[str] | None = None
) -> dict[str, TableInfo]:
    """The tables of the database that the client is on, by their names; all of them, or those of `names` that exist.

    On PostgreSQL they are those of the schema in which the client makes tables. Views and partitions are none.
    """
    return await READERS[dialect](client, names)
