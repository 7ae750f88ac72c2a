"""The check of a label: its pending migrations, its models and its database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tortoise.connection import get_connection

from sanicbase.config import Config
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.checking.accepting import acceptances_of, judged
from sanicbase.migrations.checking.drifting import look_at_drift
from sanicbase.migrations.checking.facts import DatabaseFacts, Facts, FilledFacts
from sanicbase.migrations.checking.findings import Finding
from sanicbase.migrations.checking.losses import look_at_losses
from sanicbase.migrations.checking.ordering import look_at_files, look_at_numbers
from sanicbase.migrations.checking.returning import look_at_the_way_back
from sanicbase.migrations.checking.scripts import Script, Unit, read_unit, schema_after, shown
from sanicbase.migrations.checking.tables import known_tables
from sanicbase.migrations.checking.waits import look_at_waits
from sanicbase.migrations.checking.walking import walk
from sanicbase.migrations.introspection import TableInfo, read_tables
from sanicbase.migrations.making import draft, last_state
from sanicbase.migrations.planning import read_only
from sanicbase.migrations.standing import Label, Standing, read_standing, refuse_foreign
from sanicbase.migrations.statements import Dialect

__all__ = ["LARGE", "Depth", "check_label"]

LARGE = 100_000


@dataclass(frozen=True)
class Depth:
    """How a database is looked at."""

    large: int = LARGE
    """Rows of a table on which locks are felt."""
    filled: bool = False
    """Whether every table counts as a large one, as where a test's database is empty."""


async def check_label(config: Config, label: Label, depth: Depth) -> list[Finding]:
    """What is found about a label of a service, whose databases are open: about its database, its migrations in their
    order, and the models. What is accepted is left out. Nothing is changed."""
    root = config.project_dir()
    try:
        refuse_foreign(config, label)
    except MigrationError as exc:
        return [_finding("dialect.other", str(exc))]
    standing = await read_standing(label)
    there = await read_tables(get_connection(label.connection), label.dialect)
    units, found = await _units(standing, root)
    async with read_only(label.connection, label.dialect) as db:
        # What the models were after a file for another database cannot be compared with what they are for this one.
        foreign = any(finding.code == "dialect.other" for finding in found)
        unwritten, draft_unit = ([], None) if foreign else _unwritten(standing)
        drafted = [draft_unit] if draft_unit else []
        facts: Facts = FilledFacts(depth.large) if depth.filled else DatabaseFacts(db, label.dialect, depth.large)
        check = _Check(label.dialect, depth.large, there)
        actual = [*found, *[each async for each in check.findings([*units, *drafted], facts)]]
        possible = [each async for each in check.findings(units, FilledFacts(depth.large))]
    scripts = [script for unit in units for script in (unit.up, unit.down) if script is not None]
    accepted = [each for script in scripts for each in acceptances_of(script, label.dialect)]
    places = [shown(migration.path, root) for migration in standing.migrations]
    left = sorted(judged(actual, possible, accepted), key=lambda each: _rank(each, places))
    return [*_drift(standing, there, root), *left, *unwritten]


def _rank(finding: Finding, files: Sequence[str]) -> tuple[int, bool, int]:
    place = files.index(finding.file) if finding.file in files else len(files)
    return place, finding.direction == "downgrade", finding.statement


@dataclass(frozen=True)
class _Check:
    dialect: Dialect
    large: int
    there: dict[str, TableInfo]

    async def findings(self, units: Sequence[Unit], facts: Facts) -> AsyncIterator[Finding]:
        """What is found about migrations that are applied one after another to these tables."""
        tables = known_tables(self.there.values())
        for unit in units:
            steps = walk(unit.up.statements, tables, self.dialect, done=unit.done)
            async for finding in look_at_losses(unit, steps, tables, facts, self.dialect):
                yield finding
            async for finding in look_at_waits(unit, steps, facts, self.dialect, self.large):
                yield finding
            tables.settle(filled=unit.writes_data)
            if unit.down is not None:
                back = walk(unit.down.statements, tables.copy(), self.dialect)
                for finding in look_at_the_way_back(unit, steps, back):
                    yield finding


async def _units(standing: Standing, root: Path) -> tuple[list[Unit], list[Finding]]:
    """The pending migrations that can be read, and the findings about files as such."""
    label = standing.label
    found = [*look_at_numbers(standing, root), *look_at_files(standing, root)]
    foreign = {finding.file for finding in found if finding.code == "dialect.other"}
    units = []
    for migration in standing.pending:
        if shown(migration.path, root) in foreign:
            continue
        try:
            async with read_only(label.connection, label.dialect) as db:  # an error may end a transaction on it
                units.append(await read_unit(migration, db, standing, root))
        except (MigrationError, DatabaseError) as exc:
            found.append(_unreadable(shown(migration.path, root), exc))
    return units, found


def _unreadable(file: str, error: Exception) -> Finding:
    return Finding(
        "file.unreadable",
        "warning",
        file,
        "upgrade",
        0,
        _("Its statements cannot be told beforehand: {error}", error=error),
        _("Return the SQL from upgrade and downgrade, and write rows by migrate_data."),
    )


def _unwritten(standing: Standing) -> tuple[list[Finding], Unit | None]:
    """Whether the models have changed since the last file, and the migration that this would be."""
    label = standing.label
    if not standing.migrations:
        return [_finding("models.unwritten", sentence) for sentence in standing.warnings()], None
    try:
        made = draft(label.name, label.connection, label.dialect, last_state(label.folder) or {})
    except MigrationError as exc:  # which somebody has to be asked about
        return [_finding("models.unwritten", str(exc))], None
    if not made.upgrade:
        return [], None
    shown_as = "; ".join(" ".join(statement.split()) for statement in made.upgrade)
    sentence = _(
        "The models of {label} have changed since the last migration: {statements}. Write the next one: sanicGuider "
        "migrate make {service}",
        label=label.name,
        statements=shown_as,
        service=label.service,
    )
    return [_finding("models.unwritten", sentence)], Unit(Script("", "upgrade", "", made.upgrade))


def _finding(code: str, said: str) -> Finding:
    """The last sentence is the remedy."""
    cause, mark, remedy = said.rpartition(_(". "))
    return Finding(code, "error", "", "upgrade", 0, f"{cause}{mark.strip()}" or said, remedy)


def _drift(standing: Standing, there: dict[str, TableInfo], root: Path) -> Iterator[Finding]:
    """Nothing is said of a database in which a migration is half-way or missing."""
    applied = [migration for migration in standing.migrations if migration.name in standing.applied]
    if not applied or standing.begun or standing.missing or standing.out_of_order:
        return
    schema = schema_after(applied[-1], standing.label.dialect)
    yield from look_at_drift(schema, there, standing.label.dialect, shown(applied[-1].path, root))
