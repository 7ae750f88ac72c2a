"""Migrations that come from two branches, or from another kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sanicbase.i18n import gettext as _
from sanicbase.migrations.checking.findings import Finding
from sanicbase.migrations.checking.scripts import shown
from sanicbase.migrations.files import Migration
from sanicbase.migrations.standing import Standing
from sanicbase.migrations.statements import DATABASES, Dialect

__all__ = ["look_at_files", "look_at_numbers"]


def look_at_numbers(standing: Standing, root: Path) -> Iterator[Finding]:
    """Pending migrations whose number another one has, or that come before one that is applied."""
    for migration in standing.pending:
        same = [each.name for each in standing.migrations if each.number == migration.number and each != migration]
        file = shown(migration.path, root)
        if same:
            yield _finding(
                "number.twice",
                file,
                _(
                    "{migrations} has the number {number} as well: two branches have each made one, and neither "
                    "knows the other's tables.",
                    migrations=", ".join(same),
                    number=migration.number,
                ),
            )
        elif migration in standing.out_of_order:
            yield _finding(
                "number.late",
                file,
                _("A migration with a higher number is applied, and `up` refuses this one."),
            )


def look_at_files(standing: Standing, root: Path) -> Iterator[Finding]:
    """Pending migrations that are written for another database."""
    own = standing.label.dialect
    for migration in standing.pending:
        written = migration.dialect
        if written is not None and written != own:
            yield _foreign(standing, migration, written, root)


def _finding(code: str, file: str, sentence: str) -> Finding:
    remedy = _("Delete the one that no database has, and make it anew behind the other: sanicGuider migrate make")
    return Finding(code, "error", file, "upgrade", 0, sentence, remedy)


def _foreign(standing: Standing, migration: Migration, written: Dialect, root: Path) -> Finding:
    label = standing.label
    own = label.dialect
    elsewhere = f"migrations/{written}/{label.name}"
    return Finding(
        "dialect.other",
        "error",
        shown(migration.path, root),
        "upgrade",
        0,
        _(
            "It is written for {written}, and the database of {label} is {database}.",
            written=DATABASES[written],
            label=label.name,
            database=DATABASES[own],
        ),
        _(
            "Move it to {folder}, and make one for this database: sanicGuider migrate make {service}",
            folder=elsewhere,
            service=label.service,
        ),
    )
