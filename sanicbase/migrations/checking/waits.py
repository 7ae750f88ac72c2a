"""Whom an upgrade keeps waiting, on tables that are large."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sanicbase.i18n import gettext as _
from sanicbase.migrations.checking.facts import Facts
from sanicbase.migrations.checking.findings import Finding, Severity
from sanicbase.migrations.checking.losses import rows_of
from sanicbase.migrations.checking.scripts import Unit
from sanicbase.migrations.checking.tables import KnownTable
from sanicbase.migrations.checking.walking import Altered, Indexed, Rebuilt, Step
from sanicbase.migrations.locks import lock_of
from sanicbase.migrations.statements import Dialect

__all__ = ["look_at_waits"]


async def look_at_waits(
    unit: Unit, steps: Sequence[Step], facts: Facts, dialect: Dialect, large: int
) -> AsyncIterator[Finding]:
    """The findings about statements on tables of that many rows, and more."""
    look = _Look(unit, dialect)
    waits = False
    for step in steps:
        tables = {table.name: await rows_of(table, facts) for table in _written(step, dialect)}
        name = next((name for name, rows in tables.items() if rows >= large), None)
        if name is None:
            continue
        for finding in look.step(step, name, tables[name]):
            yield finding
        if not waits and not step.bounded and look.queues(step) and await facts.waits():
            waits = True
            yield look.endless(step, name)


def _written(step: Step, dialect: Dialect) -> list[KnownTable]:
    """On SQLite it takes long only where rows are read: there every other change is one of the schema."""
    if dialect != "sqlite":
        return list(step.touched)
    return [event.table for event in step.events if isinstance(event, Indexed | Rebuilt)]


@dataclass(frozen=True)
class _Look:
    unit: Unit
    dialect: Dialect

    def step(self, step: Step, table: str, rows: int) -> list[Finding]:
        indexes = [event for event in step.events if isinstance(event, Indexed)]
        if indexes:
            return [self._index(event, table, rows) for event in indexes if not event.index.beside][:1]
        altered = [event for event in step.events if isinstance(event, Altered)]
        if altered and all(event.column.is_proven and event.now.type == event.column.type for event in altered):
            return []
        if lock_of(step.sql, self.dialect).effect in ("writes", "all"):
            return [self._locked(step, table, rows)]
        return []

    def queues(self, step: Step) -> bool:
        """Whether others wait behind the statement while that waits for its lock."""
        return self.dialect != "sqlite" and lock_of(step.sql, self.dialect).effect in ("short", "writes", "all")

    def _index(self, event: Indexed, table: str, rows: int) -> Finding:
        severity: Severity = "error" if self.dialect == "postgres" else "warning"
        danger = _(
            "The index on {table} is made from {rows} rows, and who writes to the table waits for it.",
            table=table,
            rows=rows,
        )
        if self.dialect == "mysql":
            danger = _(
                "The index on {table} is made from {rows} rows. Where the server cannot do that beside writes, it "
                "locks the table and does not say so.",
                table=table,
                rows=rows,
            )
        return self.unit.up.finding("index.locks", severity, event.number, danger, self._beside(event))

    def _beside(self, event: Indexed) -> str:
        if self.dialect == "sqlite":
            return _at_rest()
        if self.dialect == "mysql":
            return _(
                "End the statement with ALGORITHM=INPLACE LOCK=NONE (behind a comma in ALTER TABLE): then the "
                "server refuses what it cannot do beside writes."
            )
        unique = "UNIQUE " if event.index.unique else ""
        then = _(" Then: ALTER TABLE … ADD CONSTRAINT … UNIQUE USING INDEX …") if event.index.constraint else ""
        return (
            _(
                "Write CREATE {unique}INDEX CONCURRENTLY into a file of its own with RUN_IN_TRANSACTION = False.",
                unique=unique,
            )
            + then
        )

    def _locked(self, step: Step, table: str, rows: int) -> Finding:
        severity: Severity = "warning" if self.dialect == "sqlite" else "error"
        lock = lock_of(step.sql, self.dialect)
        return self.unit.up.finding(
            "table.locks",
            severity,
            step.number,
            _(
                "{table} has {rows} rows, and while the statement goes through them: {lock}.",
                table=table,
                rows=rows,
                lock=lock.sentence(),
            ),
            self._otherwise(step),
        )

    def _otherwise(self, step: Step) -> str:
        if self.dialect == "sqlite":
            return _at_rest()
        altered = [event for event in step.events if isinstance(event, Altered)]
        if self.dialect == "postgres" and any(each.column.null and not each.now.null for each in altered):
            return _(
                "Add CHECK (… IS NOT NULL) NOT VALID as a constraint, and VALIDATE it in a migration of its own: "
                "SET NOT NULL does not read the rows then."
            )
        if "FOREIGN KEY" in step.sql.upper() and self.dialect == "postgres":
            return _("Add the constraint as NOT VALID, and VALIDATE it in a migration of its own.")
        return _(
            "Add a new column, fill it in batches by migrate_data, and let the service change over to it; or apply "
            "this while the service stands still, and accept the finding."
        )

    def endless(self, step: Step, table: str) -> Finding:
        return self.unit.up.finding(
            "lock.no-timeout",
            "warning",
            step.number,
            _(
                "The statement waits for the lock of {table} as long as another transaction uses the table, and "
                "everybody else waits behind it.",
                table=table,
            ),
            _("Begin the file's SQL with: {statement}", statement=self._timeout()),
        )

    def _timeout(self) -> str:
        if self.dialect == "mysql":
            return "SET SESSION lock_wait_timeout = 5;"
        return f"SET {'LOCAL ' * self.unit.in_transaction}lock_timeout = '5s';"


def _at_rest() -> str:
    return _("SQLite locks the whole file for it, and has no other way. Apply it while the service stands still.")
