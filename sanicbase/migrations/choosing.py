"""Which migrations are to be applied or taken back, and when neither may be done."""

from __future__ import annotations

from dataclasses import dataclass

from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.files import Migration, refuse_other_dialect
from sanicbase.migrations.journal import Direction, Note
from sanicbase.migrations.locking import LOCK_TIMEOUT
from sanicbase.migrations.standing import Label, Standing

__all__ = ["Options", "to_be_applied", "to_be_taken_back"]


@dataclass(frozen=True)
class Options:
    """How migrations are applied."""

    to: str = ""
    """The last one to be applied, or to be kept, by its number or its name; the last there is by default."""
    fake: bool = False
    """Note them without carrying them out."""
    out_of_order: bool = False
    """Apply also what comes before one that is applied."""
    skip_statement: bool = False
    """Go on behind the statement at which the last run has stopped, which was carried out by hand."""
    lock_timeout: float = LOCK_TIMEOUT


def to_be_applied(standing: Standing, options: Options) -> list[Migration]:
    """The migrations that are to be applied. Raises MigrationError where they cannot."""
    begun = standing.begun
    if begun and begun.direction == "down":
        raise _half_way(standing.label, begun, "down")
    if begun and begun.migration not in {migration.name for migration in standing.migrations}:
        raise MigrationError(
            _(
                "{migration} of {label} is half-way, and its file is missing. Restore it from version control.",
                migration=begun.migration,
                label=standing.label.name,
            )
        )
    if options.skip_statement and not begun:
        raise MigrationError(
            _(
                "No migration of {label} has stopped at a statement, so there is none to skip.",
                label=standing.label.name,
            )
        )
    pending = standing.pending
    if options.to:
        last = _named(standing, options.to)
        pending = [migration for migration in pending if migration.number <= last.number]
    if (early := [each for each in standing.out_of_order if each in pending]) and not options.out_of_order:
        names = ", ".join(migration.name for migration in early)
        raise MigrationError(
            _(
                "{names} of {label} is not applied, and a later one is. Give it the next number and make it anew, "
                "or apply it all the same: sanicGuider migrate up --out-of-order",
                names=names,
                label=standing.label.name,
            )
        )
    for migration in pending:
        refuse_other_dialect(migration, standing.label.name, standing.label.dialect)
    return sorted(pending, key=lambda migration: not (begun and migration.name == begun.migration))


def to_be_taken_back(standing: Standing, options: Options) -> list[Migration]:
    """The migrations that `take_back` takes back, the last one first. Raises MigrationError where it cannot."""
    files = {migration.name: migration for migration in standing.migrations}
    if (begun := standing.begun) and begun.direction == "up":
        raise _half_way(standing.label, begun, "up")
    names = [*reversed(standing.applied)]
    if begun:
        names = names[: names.index(begun.migration) + 1]
    elif options.to:
        kept = _named(standing, options.to).name
        if kept not in names:
            raise MigrationError(_("{migration} is not applied.", migration=kept))
        names = names[: names.index(kept)]
    else:
        names = names[:1]
    for name in names:
        if name not in files:
            raise MigrationError(
                _(
                    "{migration} of {label} cannot be taken back: its file is missing. Restore it from version "
                    "control.",
                    migration=name,
                    label=standing.label.name,
                )
            )
    return [files[name] for name in names]


def _half_way(label: Label, begun: Note, command: Direction) -> MigrationError:
    return MigrationError(
        _(
            "{migration} of {label} is half-way: it has stopped at statement {step}. Finish it: sanicGuider migrate "
            "{command} {service}",
            migration=begun.migration,
            label=label.name,
            step=begun.step,
            command=command,
            service=label.service,
        )
    )


def _named(standing: Standing, wanted: str) -> Migration:
    for migration in standing.migrations:
        if wanted in (migration.name, migration.path.stem) or (wanted.isdigit() and int(wanted) == migration.number):
            return migration
    label = standing.label
    raise MigrationError(
        _(
            "{label} has no migration {migration}. See: sanicGuider migrate history {service}",
            label=label.name,
            migration=wanted,
            service=label.service,
        )
    )
