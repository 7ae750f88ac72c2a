"""Finds effects of an upgrade on existing rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sanicbase.i18n import gettext as _
from sanicbase.i18n import ngettext
from sanicbase.migrations.checks.constraints import check_constraints, column_key
from sanicbase.migrations.checks.findings import Finding
from sanicbase.migrations.checks.scripts import PendingMigration
from sanicbase.migrations.checks.simulation import (
    ColumnAdded,
    ColumnAltered,
    ColumnDropped,
    Event,
    StatementEffects,
    TableCreated,
    TableDropped,
)
from sanicbase.migrations.checks.state import ColumnState, DatabaseState, TableState
from sanicbase.migrations.checks.statistics import TableStatistics
from sanicbase.migrations.checks.types import is_narrowed, types_differ
from sanicbase.migrations.statements import DATABASE_NAMES, Dialect

__all__ = ["check_data_loss", "rows_of"]

ALIKE = 0.5  # the share of equal columns at which two tables may be the same


async def rows_of(table: TableState, statistics: TableStatistics) -> int:
    """The number of rows that a table has when the migration starts."""
    return 0 if table.is_new and not table.origin else await statistics.row_count(table.origin)


async def check_data_loss(
    pending: PendingMigration,
    upgrade_effects: Sequence[StatementEffects],
    after: DatabaseState,
    statistics: TableStatistics,
    dialect: Dialect,
) -> AsyncIterator[Finding]:
    """The findings about the upgrade, whose steps have produced these tables."""
    events = [event for statement in upgrade_effects for event in statement.events]
    check = _DataLossCheck(pending, events, after, statistics, dialect)
    async for finding in check.tables():
        yield finding
    refused: set[tuple[str, str]] = set()
    async for finding in check.columns(refused):
        yield finding
    for finding in check_constraints(pending, events, after, refused):
        yield finding


@dataclass(frozen=True)
class _DataLossCheck:
    pending: PendingMigration
    events: Sequence[Event]
    after: DatabaseState
    statistics: TableStatistics
    dialect: Dialect

    async def tables(self) -> AsyncIterator[Finding]:
        created = [
            event.table for event in self.events if isinstance(event, TableCreated) and self.after.get(event.table.name)
        ]
        for event in self.events:
            if not isinstance(event, TableDropped) or (event.table.is_new and not event.table.origin):
                continue
            rows = await rows_of(event.table, self.statistics)
            similar = next((table for table in created if self._tables_alike(event.table, table)), None)
            if similar is not None:
                yield self._renamed_table(event, similar, rows)
            elif rows:
                yield self._dropped_table(event, rows)

    async def columns(self, refused: set[tuple[str, str]]) -> AsyncIterator[Finding]:
        """Adds columns that cannot be created to `refused`, so that no other finding is about them."""
        added = [event for event in self.events if isinstance(event, ColumnAdded)]
        for event in self.events:
            if event.table.is_new and not event.table.origin:
                continue
            rows = await rows_of(event.table, self.statistics)
            match event:
                case ColumnDropped():
                    if similar := self._like(event, added):
                        yield self._renamed_column(event, similar, rows)
                    elif rows:
                        yield self._dropped_column(event, rows)
                case ColumnAdded() if rows and event.column.needs_value and not event.filled:
                    refused.add(column_key(event))
                    yield self._refused(event, rows)
                case ColumnAltered():
                    if rows and is_narrowed(event.column.type, event.now.type, self.dialect):
                        yield self._narrowed(event)
                    if rows and await self._is_refused(event):
                        refused.add(column_key(event))
                        yield self._null(event)

    def _tables_alike(self, old: TableState, new: TableState) -> bool:
        matching = [
            key
            for key, column in old.columns.items()
            if (now := new.column(key)) and not types_differ(column.type, now.type, self.dialect)
        ]
        return len(matching) >= ALIKE * max(len(old.columns), len(new.columns), 1)

    def _like(self, event: ColumnDropped, added: Sequence[ColumnAdded]) -> ColumnState | None:
        return next(
            (
                candidate.column
                for candidate in added
                if candidate.table.name == event.table.name
                and candidate.column.generated == event.column.generated
                and not types_differ(candidate.column.type, event.column.type, self.dialect)
            ),
            None,
        )

    async def _is_refused(self, event: ColumnAltered) -> bool:
        if event.filled or event.now.null or not event.column.null:
            return False
        if event.column.nulls == "database":
            return await self.statistics.has_null(event.table.origin, event.column.origin)
        return event.column.nulls == "all"

    def _renamed_table(self, event: Event, like: TableState, rows: int) -> Finding:
        old, new = event.table.name, like.name
        return self.pending.up.finding(
            "table.rename",
            "error" if rows else "warning",
            event.number,
            _(
                "{old}{with_rows} is dropped, and {new} is created with similar columns. If {new} is a renamed "
                "{old}, its rows are lost.",
                old=old,
                with_rows=_with(rows),
                new=new,
            ),
            _(
                "Replace both with ALTER TABLE {old} RENAME TO {new}. `sanicGuider migrate make` asks about it.",
                old=old,
                new=new,
            ),
        )

    def _dropped_table(self, event: Event, rows: int) -> Finding:
        name = event.table.name
        return self.pending.up.finding(
            "table.drop",
            "error",
            event.number,
            _(
                "{name} is dropped with its {rows}, and running copies of the service that use it fail.",
                name=name,
                rows=_rows(rows),
            ),
            _("Copy the data that you need, deploy the service without the table first, and accept this finding."),
        )

    def _renamed_column(self, event: ColumnDropped, like: ColumnState, rows: int) -> Finding:
        table, old, new = event.table.name, event.column.name, like.name
        return self.pending.up.finding(
            "column.rename",
            "error" if rows else "warning",
            event.number,
            _(
                "{table}.{old} is dropped, and {table}.{new} of the same type is added{with_rows}. If {new} is "
                "a renamed {old}, its values are lost.",
                table=table,
                old=old,
                new=new,
                with_rows=_with(rows),
            ),
            _(
                "Replace both with ALTER TABLE {table} RENAME COLUMN {old} TO {new}. `sanicGuider migrate "
                "make` asks about it.",
                table=table,
                old=old,
                new=new,
            ),
        )

    def _dropped_column(self, event: ColumnDropped, rows: int) -> Finding:
        name = f"{event.table.name}.{event.column.name}"
        return self.pending.up.finding(
            "column.drop",
            "error",
            event.number,
            _(
                "{name} is dropped with the values of {rows}, and running copies of the service that use it fail.",
                name=name,
                rows=_rows(rows),
            ),
            _("Copy the data that you need, deploy the service without the column first, and accept this finding."),
        )

    def _refused(self, event: ColumnAdded, rows: int) -> Finding:
        name = f"{event.table.name}.{event.column.name}"
        database = DATABASE_NAMES[self.dialect]
        implicit = self.dialect == "mysql"
        outcome = _("sets an implicit empty value, or fails") if implicit else _("rejects it")
        return self.pending.up.finding(
            "column.not-null",
            "error",
            event.number,
            _(
                "{name} is added as NOT NULL without a default, and {table} has {rows}: {database} {outcome}.",
                name=name,
                table=event.table.name,
                rows=_rows(rows),
                database=database,
                outcome=outcome,
            ),
            _(
                "Set default= on the field. Or add it with null=True, fill it in migrate_data, and remove "
                "null=True in a later migration."
            ),
        )

    def _null(self, event: ColumnAltered) -> Finding:
        table, name = event.table.name, event.now.name
        return self.pending.up.finding(
            "column.not-null",
            "error",
            event.number,
            _(
                "{table}.{name} becomes NOT NULL, but rows contain or may contain NULL: the statement fails on these.",
                table=table,
                name=name,
            ),
            _(
                "Fill {name} in these rows first, with an UPDATE or with migrate_data in an earlier migration.",
                name=name,
            ),
        )

    def _narrowed(self, event: ColumnAltered) -> Finding:
        name, old, new = f"{event.table.name}.{event.now.name}", event.column.type, event.now.type
        lenient = self.dialect == "sqlite"
        outcome = (
            _("SQLite keeps values that do not fit, and the model rejects them")
            if lenient
            else _("values that do not fit are truncated, or the statement fails")
        )
        return self.pending.up.finding(
            "column.narrowed",
            "warning" if lenient else "error",
            event.number,
            _(
                "{name} changes from {old} to {new}, which has a smaller range: {outcome}.",
                name=name,
                old=old,
                new=new,
                outcome=outcome,
            ),
            _(
                "Make sure that every value fits, or add a column of the new type and copy the values in a "
                "data migration."
            ),
        )


def _rows(rows: int) -> str:
    return ngettext("{rows} row", "{rows} rows", rows, rows=rows)


def _with(rows: int) -> str:
    return _(" (with {rows})", rows=_rows(rows)) if rows else ""
