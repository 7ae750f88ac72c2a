"""What an upgrade would do to the rows that are there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sanicbase.i18n import gettext as _
from sanicbase.i18n import ngettext
from sanicbase.migrations.checking.facts import Facts
from sanicbase.migrations.checking.findings import Finding
from sanicbase.migrations.checking.promises import key_of, look_at_promises
from sanicbase.migrations.checking.scripts import Unit
from sanicbase.migrations.checking.tables import KnownColumn, KnownTable, Tables
from sanicbase.migrations.checking.types import differ, narrowed
from sanicbase.migrations.checking.walking import Added, Altered, Created, Dropped, Event, Gone, Step
from sanicbase.migrations.statements import DATABASES, Dialect

__all__ = ["look_at_losses", "rows_of"]

ALIKE = 0.5  # of the columns of two tables, for the one to be perhaps the other


async def rows_of(table: KnownTable, facts: Facts) -> int:
    """How many rows a table has when the migration begins."""
    return 0 if table.is_new and not table.origin else await facts.rows(table.origin)


async def look_at_losses(
    unit: Unit, steps: Sequence[Step], after: Tables, facts: Facts, dialect: Dialect
) -> AsyncIterator[Finding]:
    """The findings about the upgrade, whose steps have left these tables."""
    events = [event for step in steps for event in step.events]
    look = _Look(unit, events, after, facts, dialect)
    async for finding in look.tables():
        yield finding
    refused: set[tuple[str, str]] = set()
    async for finding in look.columns(refused):
        yield finding
    for finding in look_at_promises(unit, events, after, refused):
        yield finding


@dataclass(frozen=True)
class _Look:
    unit: Unit
    events: Sequence[Event]
    after: Tables
    facts: Facts
    dialect: Dialect

    async def tables(self) -> AsyncIterator[Finding]:
        made = [event.table for event in self.events if isinstance(event, Created) and self.after.get(event.table.name)]
        for event in self.events:
            if not isinstance(event, Gone) or (event.table.is_new and not event.table.origin):
                continue
            rows = await rows_of(event.table, self.facts)
            like = next((table for table in made if self._tables_alike(event.table, table)), None)
            if like is not None:
                yield self._renamed_table(event, like, rows)
            elif rows:
                yield self._dropped_table(event, rows)

    async def columns(self, refused: set[tuple[str, str]]) -> AsyncIterator[Finding]:
        """Adds to `refused` the columns that are not to be had, so that nothing else is said of them."""
        come = [event for event in self.events if isinstance(event, Added)]
        for event in self.events:
            if event.table.is_new and not event.table.origin:
                continue
            rows = await rows_of(event.table, self.facts)
            match event:
                case Dropped():
                    if like := self._like(event, come):
                        yield self._renamed_column(event, like, rows)
                    elif rows:
                        yield self._dropped_column(event, rows)
                case Added() if rows and event.column.needs_value and not event.filled:
                    refused.add(key_of(event))
                    yield self._refused(event, rows)
                case Altered():
                    if rows and narrowed(event.column.type, event.now.type, self.dialect):
                        yield self._narrowed(event)
                    if rows and await self._is_refused(event):
                        refused.add(key_of(event))
                        yield self._null(event)

    def _tables_alike(self, old: KnownTable, new: KnownTable) -> bool:
        same = [
            key
            for key, column in old.columns.items()
            if (now := new.column(key)) and not differ(column.type, now.type, self.dialect)
        ]
        return len(same) >= ALIKE * max(len(old.columns), len(new.columns), 1)

    def _like(self, event: Dropped, come: Sequence[Added]) -> KnownColumn | None:
        return next(
            (
                each.column
                for each in come
                if each.table.name == event.table.name
                and each.column.generated == event.column.generated
                and not differ(each.column.type, event.column.type, self.dialect)
            ),
            None,
        )

    async def _is_refused(self, event: Altered) -> bool:
        if event.filled or event.now.null or not event.column.null:
            return False
        if event.column.nulls == "database":
            return await self.facts.has_null(event.table.origin, event.column.origin)
        return event.column.nulls == "all"

    def _renamed_table(self, event: Event, like: KnownTable, rows: int) -> Finding:
        old, new = event.table.name, like.name
        return self.unit.up.finding(
            "table.rename",
            "error" if rows else "warning",
            event.number,
            _(
                "{old}{with_rows} is dropped, and {new} is made with like columns. If {new} is {old} with another "
                "name, its rows are lost.",
                old=old,
                with_rows=_with(rows),
                new=new,
            ),
            _(
                "Write ALTER TABLE {old} RENAME TO {new} in place of both. `sanicGuider migrate make` asks about it.",
                old=old,
                new=new,
            ),
        )

    def _dropped_table(self, event: Event, rows: int) -> Finding:
        name = event.table.name
        return self.unit.up.finding(
            "table.drop",
            "error",
            event.number,
            _(
                "{name} is dropped with its {rows}, and copies of the service that still use it fail.",
                name=name,
                rows=_rows(rows),
            ),
            _("Copy what is still needed, deploy the service without the table first, and accept this finding."),
        )

    def _renamed_column(self, event: Dropped, like: KnownColumn, rows: int) -> Finding:
        table, old, new = event.table.name, event.column.name, like.name
        return self.unit.up.finding(
            "column.rename",
            "error" if rows else "warning",
            event.number,
            _(
                "{table}.{old} is dropped, and {table}.{new} of the same type is added{with_rows}. If {new} is "
                "{old} with another name, its values are lost.",
                table=table,
                old=old,
                new=new,
                with_rows=_with(rows),
            ),
            _(
                "Write ALTER TABLE {table} RENAME COLUMN {old} TO {new} in place of both. `sanicGuider migrate "
                "make` asks about it.",
                table=table,
                old=old,
                new=new,
            ),
        )

    def _dropped_column(self, event: Dropped, rows: int) -> Finding:
        name = f"{event.table.name}.{event.column.name}"
        return self.unit.up.finding(
            "column.drop",
            "error",
            event.number,
            _(
                "{name} is dropped with the values of {rows}, and copies of the service that still use it fail.",
                name=name,
                rows=_rows(rows),
            ),
            _("Copy what is still needed, deploy the service without the column first, and accept this finding."),
        )

    def _refused(self, event: Added, rows: int) -> Finding:
        name = f"{event.table.name}.{event.column.name}"
        database = DATABASES[self.dialect]
        implicit = self.dialect == "mysql"
        outcome = _("gives them an empty value that nobody has chosen, or fails") if implicit else _("refuses it")
        return self.unit.up.finding(
            "column.not-null",
            "error",
            event.number,
            _(
                "{name} comes as NOT NULL without a default, and {table} has {rows}: {database} {outcome}.",
                name=name,
                table=event.table.name,
                rows=_rows(rows),
                database=database,
                outcome=outcome,
            ),
            _(
                "Give the field a default=, or add it with null=True, fill it by migrate_data, and take null=True "
                "away in a later migration."
            ),
        )

    def _null(self, event: Altered) -> Finding:
        table, name = event.table.name, event.now.name
        return self.unit.up.finding(
            "column.not-null",
            "error",
            event.number,
            _(
                "{table}.{name} is to be NOT NULL, and there are rows that have, or may have, NULL in it: the "
                "statement fails on them.",
                table=table,
                name=name,
            ),
            _("Fill {name} in these rows before: by an UPDATE, or by migrate_data in an earlier migration.", name=name),
        )

    def _narrowed(self, event: Altered) -> Finding:
        name, old, new = f"{event.table.name}.{event.now.name}", event.column.type, event.now.type
        lenient = self.dialect == "sqlite"
        outcome = (
            _("SQLite keeps values that do not fit, and the model refuses them")
            if lenient
            else _("values that do not fit are cut off, or have the statement fail")
        )
        return self.unit.up.finding(
            "column.narrowed",
            "warning" if lenient else "error",
            event.number,
            _(
                "{name} was {old} and becomes {new}, which holds less: {outcome}.",
                name=name,
                old=old,
                new=new,
                outcome=outcome,
            ),
            _("See first that every value fits, or add a column of the new type and copy them in a migration of rows."),
        )


def _rows(rows: int) -> str:
    return ngettext("{rows} row", "{rows} rows", rows, rows=rows)


def _with(rows: int) -> str:
    return _(" (with {rows})", rows=_rows(rows)) if rows else ""
