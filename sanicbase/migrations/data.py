"""Data migrations: the argument of a file's `migrate_data`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.report import Report
from sanicbase.migrations.statements import Dialect

__all__ = ["BatchFunction", "DataMigration", "Rows"]

Rows = list[dict[str, Any]]
BatchFunction = Callable[[BaseDBAsyncClient, Rows], Awaitable[None]]
"""Changes the rows of one batch with statements of the client."""

SavePosition = Callable[[BaseDBAsyncClient, str], Awaitable[None]]

KEY_TYPES: dict[str, Callable[[str], Any]] = {"int": int, "str": str, "UUID": UUID}
QUOTES: dict[Dialect, str] = {"postgres": '"', "mysql": "`", "sqlite": '"'}
PLACEHOLDERS: dict[Dialect, str] = {"postgres": "$1", "mysql": "%s", "sqlite": "?"}


@dataclass(frozen=True)
class _Scan:
    """One pass over a table; the journal identifies it by its name."""

    name: str
    table: str
    where: str
    key: str
    columns: tuple[str, ...]
    size: int


class DataMigration:
    """The rows of a database, for a migration's `migrate_data`.

    `db` is Tortoise's client: in the transaction of the whole migration, or, with DATA_IN_TRANSACTION = False, outside
    of any transaction. `dialect` is "postgres", "mysql" or "sqlite". Use SQL rather than models, which change later.
    """

    def __init__(
        self,
        db: BaseDBAsyncClient,
        dialect: Dialect,
        report: Report,
        *,
        save_position: SavePosition | None = None,
        position: str = "",
    ) -> None:
        self.db = db
        self.dialect: Dialect = dialect
        self._report = report
        self._save_position = save_position  # None inside a transaction
        self._positions: dict[str, Any] = json.loads(position or "{}")
        self._scans = 0

    async def batches(
        self,
        table: str,
        function: BatchFunction,
        *,
        where: str = "",
        key: str = "id",
        columns: Sequence[str] = (),
        size: int = 1000,
    ) -> int:
        """Call `function` for the rows of a table in batches, and return the number of rows.

        `key` is a unique column of integers, strings or UUIDs, which orders the batches. `function` gets the client and
        up to `size` rows with `columns`, by default all; the rows are locked on PostgreSQL and MySQL. `where` is an SQL
        condition. With DATA_IN_TRANSACTION = False, each batch is a transaction that also records the position: after
        a failure or a kill, the next `up` continues after the last committed batch, and no row is migrated twice.
        """
        self._scans += 1
        scan = _Scan(f"{self._scans}:{table}", table, where, key, tuple(columns), size)
        done, last = self._saved_position(scan)
        total = done + await self._count(scan, last)
        while rows := await self._batch(scan, function, done, last):
            done, last = done + len(rows), rows[-1][key]
            self._report.rows_migrated(table, done, total)
        return done

    async def _batch(self, scan: _Scan, function: BatchFunction, done: int, last: Any) -> Rows:
        lock = "" if self.dialect == "sqlite" else " FOR UPDATE"
        listed = ", ".join(map(self._quoted, dict.fromkeys([scan.key, *scan.columns]))) if scan.columns else "*"
        condition, values = self._condition(scan, last)
        order = f" ORDER BY {self._quoted(scan.key)} LIMIT {scan.size}{lock}"
        sql = f"SELECT {listed} FROM {self._quoted(scan.table)}{condition}{order}"  # noqa: S608
        async with self._transaction() as db:
            rows: Rows = [dict(row) for row in await db.execute_query_dict(sql, values)]
            if rows:
                await function(db, rows)
                await self._note(db, scan, done + len(rows), rows[-1][scan.key])
        return rows

    async def _count(self, scan: _Scan, last: Any) -> int:
        condition, values = self._condition(scan, last)
        sql = f"SELECT count(*) AS n FROM {self._quoted(scan.table)}{condition}"  # noqa: S608
        (row,) = await self.db.execute_query_dict(sql, values)
        return int(row["n"])

    def _condition(self, scan: _Scan, last: Any) -> tuple[str, list[Any]]:
        behind = f"{self._quoted(scan.key)} > {PLACEHOLDERS[self.dialect]}"
        conditions = [f"({scan.where})"] * bool(scan.where) + [behind] * (last is not None)
        return f" WHERE {' AND '.join(conditions)}" if conditions else "", [last] * (last is not None)

    def _saved_position(self, scan: _Scan) -> tuple[int, Any]:
        if (noted := self._positions.get(scan.name)) is None:
            return 0, None
        done, kind, text = noted
        return int(done), KEY_TYPES[kind](text)

    async def _note(self, db: BaseDBAsyncClient, scan: _Scan, done: int, last: Any) -> None:
        kind = "UUID" if isinstance(last, UUID) else type(last).__name__
        if kind not in KEY_TYPES:
            raise MigrationError(
                _(
                    "The rows of {table} cannot be read in batches by the column {key}, whose values are of the "
                    "type {kind}. Use a unique column of integers, strings or UUIDs as `key`.",
                    table=scan.table,
                    key=scan.key,
                    kind=kind,
                )
            )
        if self._save_position is not None:
            self._positions[scan.name] = [done, kind, str(last)]
            await self._save_position(db, json.dumps(self._positions))

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[BaseDBAsyncClient]:
        if self._save_position is None:
            yield self.db
            return
        async with self.db._in_transaction() as db:
            yield db

    def _quoted(self, name: str) -> str:
        quote = QUOTES[self.dialect]
        return f"{quote}{name.replace(quote, quote * 2)}{quote}"
