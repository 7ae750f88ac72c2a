"""Statistics about the rows of tables. Large tables are never counted."""

from __future__ import annotations

from typing import Protocol

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.migrations.schema.literals import quote_name
from sanicbase.migrations.statements import Dialect

__all__ = ["DatabaseStatistics", "TableStatistics", "WorstCaseStatistics"]

ROW_ESTIMATES: dict[Dialect, str] = {
    "postgres": "SELECT reltuples::bigint AS n FROM pg_class WHERE oid = to_regclass($1)",
    "mysql": (
        "SELECT TABLE_ROWS AS n FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
    ),
}
WAITS_FOR_HOURS: dict[Dialect, str] = {
    "postgres": "SELECT current_setting('lock_timeout') = '0' AS n",
    "mysql": "SELECT @@lock_wait_timeout >= 3600 AS n",  # a year on MySQL and a day on MariaDB by default
}


class TableStatistics(Protocol):
    """Statistics about the tables of a database, by their names there."""

    async def row_count(self, table: str) -> int:
        """The number of rows of a table; an estimate for large ones. A table without a name does not exist yet."""

    async def has_null(self, table: str, column: str) -> bool:
        """Whether a row has NULL in the column. A large table is not searched and may have one."""

    async def waits_for_locks(self) -> bool:
        """Whether a session waits for locks for hours by default."""


class DatabaseStatistics:
    """Statistics of a real database."""

    def __init__(self, client: BaseDBAsyncClient, dialect: Dialect, large: int) -> None:
        self._client = client
        self._dialect: Dialect = dialect
        self._large = large
        self._rows: dict[str, int] = {}

    async def row_count(self, table: str) -> int:
        if table and table not in self._rows:
            self._rows[table] = await self._count(table)
        return self._rows.get(table, 0)

    async def has_null(self, table: str, column: str) -> bool:
        if await self.row_count(table) >= self._large:
            return True
        name, table_name = quote_name(column, self._dialect), quote_name(table, self._dialect)
        sql = f"SELECT 1 AS n FROM {table_name} WHERE {name} IS NULL LIMIT 1"  # noqa: S608
        return bool(await self._client.execute_query_dict(sql))

    async def waits_for_locks(self) -> bool:
        if (sql := WAITS_FOR_HOURS.get(self._dialect)) is None:
            return False
        (row,) = await self._client.execute_query_dict(sql)
        return bool(row["n"])

    async def _count(self, table: str) -> int:
        """An estimate may be outdated, so a table that is small by it is counted, up to the limit."""
        table_name = quote_name(table, self._dialect)
        if sql := ROW_ESTIMATES.get(self._dialect):
            named = table_name if self._dialect == "postgres" else table
            estimates = await self._client.execute_query_dict(sql, [named])
            if estimates and (estimates[0]["n"] or 0) >= self._large:
                return int(estimates[0]["n"])
        sql = f"SELECT count(*) AS n FROM (SELECT 1 FROM {table_name} LIMIT {self._large}) AS counted"  # noqa: S608
        return int((await self._client.execute_query_dict(sql))[0]["n"])


class WorstCaseStatistics:
    """Statistics as if every table were large and every nullable column had NULL."""

    def __init__(self, large: int) -> None:
        self._large = large

    async def row_count(self, table: str) -> int:
        return self._large

    async def has_null(self, table: str, column: str) -> bool:
        return True

    async def waits_for_locks(self) -> bool:
        return True
