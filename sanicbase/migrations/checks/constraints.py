"""Finds guarantees of the models that no migration creates in the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from sanicbase.i18n import gettext as _
from sanicbase.migrations.checks.findings import Finding
from sanicbase.migrations.checks.scripts import PendingMigration
from sanicbase.migrations.checks.simulation import ColumnAdded, ColumnAltered, Event, TableCreated
from sanicbase.migrations.checks.state import ColumnState, DatabaseState

__all__ = ["check_constraints", "column_key"]


def column_key(event: ColumnAdded | ColumnAltered) -> tuple[str, str]:
    """The table and the column in lower case."""
    return event.table.name.lower(), event.column.name.lower()


def check_constraints(
    pending: PendingMigration, events: Sequence[Event], after: DatabaseState, refused: Set[tuple[str, str]]
) -> Iterator[Finding]:
    """The findings about the tables after the upgrade, except for columns that the database rejects."""
    return _ConstraintCheck(pending, events, after).findings(refused)


@dataclass(frozen=True)
class _ConstraintCheck:
    pending: PendingMigration
    events: Sequence[Event]
    after: DatabaseState

    def findings(self, refused: Set[tuple[str, str]]) -> Iterator[Finding]:
        """What the models declare and the database does not get, except for rejected columns."""
        seen = set(refused)
        for event in self.events:
            if isinstance(event, TableCreated):
                for column in event.table.columns.values():
                    yield from self._default_of_model(event, column)
                yield from self._uniques(event)
            elif isinstance(event, ColumnAdded | ColumnAltered) and column_key(event) not in seen:
                seen.add(column_key(event))
                yield from self._default(event)

    def _default(self, event: ColumnAdded | ColumnAltered) -> Iterator[Finding]:
        table = self.after.get(event.table.name)
        column = table.column(event.column.name) if table else None
        if column is None or (event.table.is_new and not event.table.origin):
            return
        findings = [*self._default_of_model(event, column)]
        yield from findings
        before = isinstance(event, ColumnAltered) and event.column.needs_value
        if column.needs_value and not (findings or before):
            yield self._without_default(event, column)

    def _default_of_model(self, event: Event, column: ColumnState) -> Iterator[Finding]:
        table = self.after.get(event.table.name)
        now = table.column(column.name) if table else None
        model = self.pending.state.get(event.table.name)
        declared = model.column(column.name) if model else None
        if now is None or declared is None or not declared.default or now.default or now.generated:
            return
        name = f"{event.table.name}.{column.name}"
        yield self.pending.up.finding(
            "column.no-default",
            "error",
            event.number,
            _(
                "The model has a database default for {name} ({default}), but no statement creates it: inserts "
                "without a value fail, or store NULL.",
                name=name,
                default=declared.default,
            ),
            _("Add it to the statement: DEFAULT {default}.", default=declared.default),
        )

    def _uniques(self, event: TableCreated) -> Iterator[Finding]:
        table, model = self.after.get(event.table.name), self.pending.state.get(event.table.name)
        for index in model.indexes if model and table else ():
            names = frozenset(name.lower() for name in index.columns)
            plain = index.unique and not index.extra and not any("(" in name for name in names)
            if plain and table and names not in table.uniques:
                listed = ", ".join(index.columns)
                yield self.pending.up.finding(
                    "index.missing",
                    "error",
                    event.number,
                    _(
                        "In the models {listed} are unique together in {table}, but no statement creates the index: "
                        "duplicate rows are possible.",
                        listed=listed,
                        table=event.table.name,
                    ),
                    _(
                        "Add a statement: CREATE UNIQUE INDEX {index} ON {table} ({listed}).",
                        index=index.name,
                        table=event.table.name,
                        listed=listed,
                    ),
                )

    def _without_default(self, event: ColumnAdded | ColumnAltered, column: ColumnState) -> Finding:
        name = f"{event.table.name}.{column.name}"
        return self.pending.up.finding(
            "column.no-default",
            "warning",
            event.number,
            _(
                "{name} becomes NOT NULL without a default in the database: inserts without it fail, such as "
                "those of the running version of the service until it is replaced.",
                name=name,
            ),
            _("Set db_default= on the field, or stop the old version before you apply this."),
        )
