"""Checks a label: its pending migrations, its models and its database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tortoise.connection import get_connection

from sanicbase.config import Config
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.autogenerate import last_state, next_draft
from sanicbase.migrations.checks.acceptances import acceptances_of, apply_acceptances
from sanicbase.migrations.checks.conflicts import check_dialects, check_numbers
from sanicbase.migrations.checks.data_loss import check_data_loss
from sanicbase.migrations.checks.downgrade import check_downgrade
from sanicbase.migrations.checks.drift import check_drift
from sanicbase.migrations.checks.findings import Finding
from sanicbase.migrations.checks.locks import check_locks
from sanicbase.migrations.checks.scripts import PendingMigration, Script, read_pending, relative_path, schema_after
from sanicbase.migrations.checks.simulation import simulate
from sanicbase.migrations.checks.state import database_state
from sanicbase.migrations.checks.statistics import DatabaseStatistics, TableStatistics, WorstCaseStatistics
from sanicbase.migrations.introspection import TableInfo, read_tables
from sanicbase.migrations.plan import read_only_session
from sanicbase.migrations.statements import Dialect
from sanicbase.migrations.status import Label, MigrationStatus, check_label_dialect, read_status

__all__ = ["LARGE", "CheckOptions", "check_label"]

LARGE = 100_000


@dataclass(frozen=True)
class CheckOptions:
    """Options of the check."""

    large: int = LARGE
    """The number of rows from which a table is large, so that locks matter."""
    filled: bool = False
    """Whether every table counts as large, for example when the database of a test is empty."""


async def check_label(config: Config, label: Label, options: CheckOptions) -> list[Finding]:
    """The findings about a label of a service, whose databases must be open: about the database, the migrations in
    order, and the models. Accepted findings are omitted. Nothing is changed."""
    root = config.project_dir()
    try:
        check_label_dialect(config, label)
    except MigrationError as exc:
        return [_finding("dialect.other", str(exc))]
    status = await read_status(label)
    tables = await read_tables(get_connection(label.connection), label.dialect)
    pending, findings = await _pending(status, root)
    async with read_only_session(label.connection, label.dialect) as db:
        # The state of models in a file for another database cannot be compared with that for this one.
        foreign = any(finding.code == "dialect.other" for finding in findings)
        unwritten, draft = ([], None) if foreign else _unwritten(status)
        drafted = [draft] if draft else []
        statistics: TableStatistics = (
            WorstCaseStatistics(options.large)
            if options.filled
            else DatabaseStatistics(db, label.dialect, options.large)
        )
        check = _Check(label.dialect, options.large, tables)
        actual = [*findings, *[finding async for finding in check.findings([*pending, *drafted], statistics)]]
        possible = [finding async for finding in check.findings(pending, WorstCaseStatistics(options.large))]
    scripts = [script for migration in pending for script in (migration.up, migration.down) if script is not None]
    acceptances = [acceptance for script in scripts for acceptance in acceptances_of(script, label.dialect)]
    places = [relative_path(migration.path, root) for migration in status.migrations]
    remaining = sorted(apply_acceptances(actual, possible, acceptances), key=lambda finding: _rank(finding, places))
    return [*_drift(status, tables, root), *remaining, *unwritten]


def _rank(finding: Finding, files: Sequence[str]) -> tuple[int, bool, int]:
    position = files.index(finding.file) if finding.file in files else len(files)
    return position, finding.direction == "downgrade", finding.statement


@dataclass(frozen=True)
class _Check:
    dialect: Dialect
    large: int
    tables: dict[str, TableInfo]

    async def findings(
        self, pending: Sequence[PendingMigration], statistics: TableStatistics
    ) -> AsyncIterator[Finding]:
        """The findings about migrations that are applied in order to these tables."""
        tables = database_state(self.tables.values())
        for migration in pending:
            upgrade_effects = simulate(migration.up.statements, tables, self.dialect, done=migration.done)
            async for finding in check_data_loss(migration, upgrade_effects, tables, statistics, self.dialect):
                yield finding
            async for finding in check_locks(migration, upgrade_effects, statistics, self.dialect, self.large):
                yield finding
            tables.finish_migration(filled=migration.migrates_data)
            if migration.down is not None:
                downgrade_effects = simulate(migration.down.statements, tables.copy(), self.dialect)
                for finding in check_downgrade(migration, upgrade_effects, downgrade_effects):
                    yield finding


async def _pending(status: MigrationStatus, root: Path) -> tuple[list[PendingMigration], list[Finding]]:
    """The pending migrations that can be read, and the findings about the files."""
    label = status.label
    findings = [*check_numbers(status, root), *check_dialects(status, root)]
    foreign = {finding.file for finding in findings if finding.code == "dialect.other"}
    pending = []
    for migration in status.pending:
        if relative_path(migration.path, root) in foreign:
            continue
        try:
            async with read_only_session(label.connection, label.dialect) as db:  # an error may abort a transaction
                pending.append(await read_pending(migration, db, status, root))
        except (MigrationError, DatabaseError) as exc:
            findings.append(_unreadable(relative_path(migration.path, root), exc))
    return pending, findings


def _unreadable(file: str, error: Exception) -> Finding:
    return Finding(
        "file.unreadable",
        "warning",
        file,
        "upgrade",
        0,
        _("Its statements cannot be determined: {error}", error=error),
        _("Return the SQL from upgrade and downgrade, and write rows in migrate_data."),
    )


def _unwritten(status: MigrationStatus) -> tuple[list[Finding], PendingMigration | None]:
    """Whether the models have changed since the last file, and the migration that would be written."""
    label = status.label
    if not status.migrations:
        return [_finding("models.unwritten", sentence) for sentence in status.warnings()], None
    try:
        draft = next_draft(label.name, label.connection, label.dialect, last_state(label.folder) or {})
    except MigrationError as exc:  # `migrate make` has a question
        return [_finding("models.unwritten", str(exc))], None
    if not draft.upgrade:
        return [], None
    statements = "; ".join(" ".join(statement.split()) for statement in draft.upgrade)
    sentence = _(
        "The models of {label} have changed since the last migration: {statements}. Write the next one: sanicGuider "
        "migrate make {service}",
        label=label.name,
        statements=statements,
        service=label.service,
    )
    return [_finding("models.unwritten", sentence)], PendingMigration(Script("", "upgrade", "", draft.upgrade))


def _finding(code: str, message: str) -> Finding:
    """The last sentence is the remedy."""
    cause, mark, remedy = message.rpartition(_(". "))
    return Finding(code, "error", "", "upgrade", 0, f"{cause}{mark.strip()}" or message, remedy)


def _drift(status: MigrationStatus, tables: dict[str, TableInfo], root: Path) -> Iterator[Finding]:
    """A database with a partly applied or missing migration is not checked."""
    applied = [migration for migration in status.migrations if migration.name in status.applied]
    if not applied or status.interrupted or status.missing or status.out_of_order:
        return
    schema = schema_after(applied[-1], status.label.dialect)
    yield from check_drift(schema, tables, status.label.dialect, relative_path(applied[-1].path, root))
