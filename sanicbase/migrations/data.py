"""Migrations of rows: what a file's `migrate_data` is given."""

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

__all__ = ["DataMigration", "Rows", "Work"]

Rows = list[dict[str, Any]]
Work = Callable[[BaseDBAsyncClient, Rows], Awaitable[None]]
"""What is done to the rows of one batch, by statements of the client."""

Place = Callable[[BaseDBAsyncClient, str], Awaitable[None]]

KEYS: dict[str, Callable[[str], Any]] = {"int": int, "str": str, "UUID": UUID}
QUOTES: dict[Dialect, str] = {"postgres": '"', "mysql": "`", "sqlite": '"'}
FIRST: dict[Dialect, str] = {"postgres": "$1", "mysql": "%s", "sqlite": "?"}


@dataclass(frozen=True)
class _Walk:
    """One way along a table; by its name the journal knows it again."""

    name: str
    table: str
    where: str
    key: str
    columns: tuple[str, ...]
    size: int


class DataMigration:
    """The rows of a database, for a migration's `migrate_data`.

    `db` is Tortoise's client: of the transaction that the whole migration is in, or, with DATA_IN_TRANSACTION = False,
    outside of any. `dialect` is "postgres", "mysql" or "sqlite". Use SQL rather than models, which change later on.
    """

    def __init__(
        self, db: BaseDBAsyncClient, dialect: Dialect, report: Report, *, place: Place | None = None, position: str = ""
    ) -> None:
        self.db = db
        self.dialect: Dialect = dialect
        self._report = report
        self._place = place  # None inside of a transaction
        self._places: dict[str, Any] = json.loads(position or "{}")
        self._walks = 0

    async def batches(
        self, table: str, work: Work, *, where: str = "", key: str = "id", columns: Sequence[str] = (), size: int = 1000
    ) -> int:
        """Walk along the rows of a table by its `key`, a unique column of integers, texts or UUIDs, and return their
        number.

        `work` is given the client and up to `size` rows with these columns, all of them by default, which are locked
        on PostgreSQL and MySQL. `where` is a condition in SQL. With DATA_IN_TRANSACTION = False each batch is a
        transaction of its own, which also notes how far it has come: after a failure or a kill, the next `up` goes on
        behind the last batch that was committed, and no row is migrated twice.
        """
        self._walks += 1
        walk = _Walk(f"{self._walks}:{table}", table, where, key, tuple(columns), size)
        done, last = self._place_of(walk)
        total = done + await self._count(walk, last)
        while rows := await self._batch(walk, work, done, last):
            done, last = done + len(rows), rows[-1][key]
            self._report.rows(table, done, total)
        return done

    async def _batch(self, walk: _Walk, work: Work, done: int, last: Any) -> Rows:
        lock = "" if self.dialect == "sqlite" else " FOR UPDATE"
        listed = ", ".join(map(self._quoted, dict.fromkeys([walk.key, *walk.columns]))) if walk.columns else "*"
        condition, values = self._condition(walk, last)
        order = f" ORDER BY {self._quoted(walk.key)} LIMIT {walk.size}{lock}"
        sql = f"SELECT {listed} FROM {self._quoted(walk.table)}{condition}{order}"  # noqa: S608
        async with self._transaction() as db:
            rows: Rows = [dict(row) for row in await db.execute_query_dict(sql, values)]
            if rows:
                await work(db, rows)
                await self._note(db, walk, done + len(rows), rows[-1][walk.key])
        return rows

    async def _count(self, walk: _Walk, last: Any) -> int:
        condition, values = self._condition(walk, last)
        sql = f"SELECT count(*) AS n FROM {self._quoted(walk.table)}{condition}"  # noqa: S608
        (row,) = await self.db.execute_query_dict(sql, values)
        return int(row["n"])

    def _condition(self, walk: _Walk, last: Any) -> tuple[str, list[Any]]:
        behind = f"{self._quoted(walk.key)} > {FIRST[self.dialect]}"
        conditions = [f"({walk.where})"] * bool(walk.where) + [behind] * (last is not None)
        return f" WHERE {' AND '.join(conditions)}" if conditions else "", [last] * (last is not None)

    def _place_of(self, walk: _Walk) -> tuple[int, Any]:
        if (noted := self._places.get(walk.name)) is None:
            return 0, None
        done, kind, text = noted
        return int(done), KEYS[kind](text)

    async def _note(self, db: BaseDBAsyncClient, walk: _Walk, done: int, last: Any) -> None:
        kind = "UUID" if isinstance(last, UUID) else type(last).__name__
        if kind not in KEYS:
            raise MigrationError(
                _(
                    "The rows of {table} cannot be walked along the column {key}, whose values are of the type "
                    "{kind}. Name a unique column of integers, texts or UUIDs as `key`.",
                    table=walk.table,
                    key=walk.key,
                    kind=kind,
                )
            )
        if self._place is not None:
            self._places[walk.name] = [done, kind, str(last)]
            await self._place(db, json.dumps(self._places))

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[BaseDBAsyncClient]:
        if self._place is None:
            yield self.db
            return
        async with self.db._in_transaction() as db:
            yield db

    def _quoted(self, name: str) -> str:
        quote = QUOTES[self.dialect]
        return f"{quote}{name.replace(quote, quote * 2)}{quote}"
