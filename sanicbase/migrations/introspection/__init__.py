"""Reads the tables of a database from its catalog: columns, keys, indexes, foreign keys and comments."""

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
    """The tables of the client's database by name: all, or those of `names` that exist.

    On PostgreSQL, these are the tables of the current schema. Views and partitions are omitted.
    """
    return await READERS[dialect](client, names)
