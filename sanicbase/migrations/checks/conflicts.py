"""Finds migrations that come from two branches, or are written for another kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sanicbase.i18n import gettext as _
from sanicbase.migrations.checks.findings import Finding
from sanicbase.migrations.checks.scripts import relative_path
from sanicbase.migrations.files import Migration
from sanicbase.migrations.statements import DATABASE_NAMES, Dialect
from sanicbase.migrations.status import MigrationStatus

__all__ = ["check_dialects", "check_numbers"]


def check_numbers(status: MigrationStatus, root: Path) -> Iterator[Finding]:
    """Pending migrations with the number of another one, or with a lower number than an applied one."""
    for migration in status.pending:
        others = [other.name for other in status.migrations if other.number == migration.number and other != migration]
        file = relative_path(migration.path, root)
        if others:
            yield _finding(
                "number.twice",
                file,
                _(
                    "{migrations} has the number {number} as well: two branches created migrations independently.",
                    migrations=", ".join(others),
                    number=migration.number,
                ),
            )
        elif migration in status.out_of_order:
            yield _finding(
                "number.late",
                file,
                _("A migration with a higher number is applied, so `up` rejects this one."),
            )


def check_dialects(status: MigrationStatus, root: Path) -> Iterator[Finding]:
    """Pending migrations that are written for another database."""
    dialect = status.label.dialect
    for migration in status.pending:
        written_dialect = migration.dialect
        if written_dialect is not None and written_dialect != dialect:
            yield _foreign(status, migration, written_dialect, root)


def _finding(code: str, file: str, sentence: str) -> Finding:
    remedy = _(
        "Delete the one that no database has applied, and create it again after the other: sanicGuider migrate make"
    )
    return Finding(code, "error", file, "upgrade", 0, sentence, remedy)


def _foreign(status: MigrationStatus, migration: Migration, written: Dialect, root: Path) -> Finding:
    label = status.label
    dialect = label.dialect
    folder = f"migrations/{written}/{label.name}"
    return Finding(
        "dialect.other",
        "error",
        relative_path(migration.path, root),
        "upgrade",
        0,
        _(
            "It is written for {written}, but the database of {label} is {database}.",
            written=DATABASE_NAMES[written],
            label=label.name,
            database=DATABASE_NAMES[dialect],
        ),
        _(
            "Move it to {folder}, and create one for this database: sanicGuider migrate make {service}",
            folder=folder,
            service=label.service,
        ),
    )
