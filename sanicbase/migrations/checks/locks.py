"""Finds locks that an upgrade holds on large tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sanicbase.i18n import gettext as _
from sanicbase.migrations.checks.data_loss import rows_of
from sanicbase.migrations.checks.findings import Finding, Severity
from sanicbase.migrations.checks.scripts import PendingMigration
from sanicbase.migrations.checks.simulation import ColumnAltered, IndexCreated, StatementEffects, TableRebuilt
from sanicbase.migrations.checks.state import TableState
from sanicbase.migrations.checks.statistics import TableStatistics
from sanicbase.migrations.lock_levels import lock_level
from sanicbase.migrations.statements import Dialect

__all__ = ["check_locks"]


async def check_locks(
    pending: PendingMigration,
    all_effects: Sequence[StatementEffects],
    statistics: TableStatistics,
    dialect: Dialect,
    large: int,
) -> AsyncIterator[Finding]:
    """The findings about statements on tables with at least that many rows."""
    check = _LockCheck(pending, dialect)
    waits = False
    for effects in all_effects:
        tables = {table.name: await rows_of(table, statistics) for table in _written_tables(effects, dialect)}
        name = next((name for name, rows in tables.items() if rows >= large), None)
        if name is None:
            continue
        for finding in check.findings(effects, name, tables[name]):
            yield finding
        if (
            not waits
            and not effects.has_lock_timeout
            and check.blocks_queue(effects)
            and await statistics.waits_for_locks()
        ):
            waits = True
            yield check.missing_timeout(effects, name)


def _written_tables(effects: StatementEffects, dialect: Dialect) -> list[TableState]:
    """On SQLite, only statements that read rows take long: all others change only the schema."""
    if dialect != "sqlite":
        return list(effects.touched)
    return [event.table for event in effects.events if isinstance(event, IndexCreated | TableRebuilt)]


@dataclass(frozen=True)
class _LockCheck:
    pending: PendingMigration
    dialect: Dialect

    def findings(self, effects: StatementEffects, table: str, rows: int) -> list[Finding]:
        indexes = [event for event in effects.events if isinstance(event, IndexCreated)]
        if indexes:
            return [self._index(event, table, rows) for event in indexes if not event.index.concurrent][:1]
        altered = [event for event in effects.events if isinstance(event, ColumnAltered)]
        if altered and all(event.column.is_proven and event.now.type == event.column.type for event in altered):
            return []
        if lock_level(effects.sql, self.dialect).blocks in ("writes", "all"):
            return [self._locked(effects, table, rows)]
        return []

    def blocks_queue(self, effects: StatementEffects) -> bool:
        """Whether others wait behind the statement while it waits for its lock."""
        return self.dialect != "sqlite" and lock_level(effects.sql, self.dialect).blocks in ("short", "writes", "all")

    def _index(self, event: IndexCreated, table: str, rows: int) -> Finding:
        severity: Severity = "error" if self.dialect == "postgres" else "warning"
        danger = _(
            "The index on {table} is built from {rows} rows, and blocks writes to the table until it is done.",
            table=table,
            rows=rows,
        )
        if self.dialect == "mysql":
            danger = _(
                "The index on {table} is built from {rows} rows. If the server cannot build it online, it "
                "silently locks the table.",
                table=table,
                rows=rows,
            )
        return self.pending.up.finding("index.locks", severity, event.number, danger, self._online_remedy(event))

    def _online_remedy(self, event: IndexCreated) -> str:
        if self.dialect == "sqlite":
            return _sqlite_remedy()
        if self.dialect == "mysql":
            return _(
                "End the statement with ALGORITHM=INPLACE LOCK=NONE (after a comma in ALTER TABLE). The server "
                "then rejects what it cannot do online."
            )
        unique = "UNIQUE " if event.index.unique else ""
        then = _(" Then: ALTER TABLE … ADD CONSTRAINT … UNIQUE USING INDEX …") if event.index.constraint else ""
        return (
            _(
                "Use CREATE {unique}INDEX CONCURRENTLY in a separate file with RUN_IN_TRANSACTION = False.",
                unique=unique,
            )
            + then
        )

    def _locked(self, effects: StatementEffects, table: str, rows: int) -> Finding:
        severity: Severity = "warning" if self.dialect == "sqlite" else "error"
        lock = lock_level(effects.sql, self.dialect)
        return self.pending.up.finding(
            "table.locks",
            severity,
            effects.number,
            _(
                "{table} has {rows} rows, and the statement processes all of them: {lock}.",
                table=table,
                rows=rows,
                lock=lock.sentence(),
            ),
            self._lock_remedy(effects),
        )

    def _lock_remedy(self, effects: StatementEffects) -> str:
        if self.dialect == "sqlite":
            return _sqlite_remedy()
        altered = [event for event in effects.events if isinstance(event, ColumnAltered)]
        if self.dialect == "postgres" and any(event.column.null and not event.now.null for event in altered):
            return _(
                "Add CHECK (… IS NOT NULL) NOT VALID as a constraint, and VALIDATE it in a separate migration. "
                "SET NOT NULL then reads no rows."
            )
        if "FOREIGN KEY" in effects.sql.upper() and self.dialect == "postgres":
            return _("Add the constraint as NOT VALID, and VALIDATE it in a separate migration.")
        return _(
            "Add a new column, fill it in batches in migrate_data, and switch the service over to it. Or "
            "apply this while the service is stopped, and accept the finding."
        )

    def missing_timeout(self, effects: StatementEffects, table: str) -> Finding:
        return self.pending.up.finding(
            "lock.no-timeout",
            "warning",
            effects.number,
            _(
                "The statement waits for the lock of {table} as long as another transaction uses the table, "
                "and all other queries wait behind it.",
                table=table,
            ),
            _("Begin the file's SQL with: {statement}", statement=self._timeout()),
        )

    def _timeout(self) -> str:
        if self.dialect == "mysql":
            return "SET SESSION lock_wait_timeout = 5;"
        return f"SET {'LOCAL ' * self.pending.in_transaction}lock_timeout = '5s';"


def _sqlite_remedy() -> str:
    return _("SQLite locks the whole file for it. Apply it while the service is stopped.")
