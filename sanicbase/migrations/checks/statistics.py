"""What a database says about the rows of its tables. It is asked little, and never counts a large table."""

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
    "mysql": "SELECT @@lock_wait_timeout >= 3600 AS n",  # a year on MySQL and a day on MariaDB when nobody has set it
}


class TableStatistics(Protocol):
    """What is asked about the tables of a database, by their names there."""

    async def row_count(self, table: str) -> int:
        """How many rows a table has; of a large one an estimate. One without a name is made by a pending migration."""

    async def has_null(self, table: str, column: str) -> bool:
        """Whether a row has NULL in the column. A large table is not searched, and may have one."""

    async def waits_for_locks(self) -> bool:
        """Whether a session waits for a lock for hours when it says nothing about it."""


class DatabaseStatistics:
    """Facts of a database as it is."""

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
        """The estimate may be old, so a table that is not large by it is counted as far as it could be."""
        table_name = quote_name(table, self._dialect)
        if sql := ROW_ESTIMATES.get(self._dialect):
            named = table_name if self._dialect == "postgres" else table
            estimates = await self._client.execute_query_dict(sql, [named])
            if estimates and (estimates[0]["n"] or 0) >= self._large:
                return int(estimates[0]["n"])
        sql = f"SELECT count(*) AS n FROM (SELECT 1 FROM {table_name} LIMIT {self._large}) AS counted"  # noqa: S608
        return int((await self._client.execute_query_dict(sql))[0]["n"])


class WorstCaseStatistics:
    """As if every table were large, and every column that may have NULL had it."""

    def __init__(self, large: int) -> None:
        self._large = large

    async def row_count(self, table: str) -> int:
        return self._large

    async def has_null(self, table: str, column: str) -> bool:
        return True

    async def waits_for_locks(self) -> bool:
        return True
