"""Which migrations are to be applied or taken back, and when neither may be done."""

from __future__ import annotations

from dataclasses import dataclass

from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.files import Migration, check_dialect
from sanicbase.migrations.journal import Direction, JournalEntry
from sanicbase.migrations.lock import LOCK_TIMEOUT
from sanicbase.migrations.status import Label, MigrationStatus

__all__ = ["Options", "migrations_to_apply", "migrations_to_revert"]


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


def migrations_to_apply(status: MigrationStatus, options: Options) -> list[Migration]:
    """The migrations that are to be applied. Raises MigrationError where they cannot."""
    interrupted = status.interrupted
    if interrupted and interrupted.direction == "down":
        raise _half_way(status.label, interrupted, "down")
    if interrupted and interrupted.migration not in {migration.name for migration in status.migrations}:
        raise MigrationError(
            _(
                "{migration} of {label} is partly applied, and its file is missing. Restore it from version control.",
                migration=interrupted.migration,
                label=status.label.name,
            )
        )
    if options.skip_statement and not interrupted:
        raise MigrationError(
            _(
                "No migration of {label} is partly applied, so there is no statement to skip.",
                label=status.label.name,
            )
        )
    pending = status.pending
    if options.to:
        last = _named(status, options.to)
        pending = [migration for migration in pending if migration.number <= last.number]
    if (early := [migration for migration in status.out_of_order if migration in pending]) and not options.out_of_order:
        names = ", ".join(migration.name for migration in early)
        raise MigrationError(
            _(
                "{names} of {label} is not applied, but a later migration is. Recreate it with the next "
                "number, or apply it out of order: sanicGuider migrate up --out-of-order",
                names=names,
                label=status.label.name,
            )
        )
    for migration in pending:
        check_dialect(migration, status.label.name, status.label.dialect)
    return sorted(pending, key=lambda migration: not (interrupted and migration.name == interrupted.migration))


def migrations_to_revert(status: MigrationStatus, options: Options) -> list[Migration]:
    """The migrations that `take_back` takes back, the last one first. Raises MigrationError where it cannot."""
    files = {migration.name: migration for migration in status.migrations}
    if (interrupted := status.interrupted) and interrupted.direction == "up":
        raise _half_way(status.label, interrupted, "up")
    names = [*reversed(status.applied)]
    if interrupted:
        names = names[: names.index(interrupted.migration) + 1]
    elif options.to:
        kept = _named(status, options.to).name
        if kept not in names:
            raise MigrationError(_("{migration} is not applied.", migration=kept))
        names = names[: names.index(kept)]
    else:
        names = names[:1]
    for name in names:
        if name not in files:
            raise MigrationError(
                _(
                    "{migration} of {label} cannot be reverted: its file is missing. Restore it from version control.",
                    migration=name,
                    label=status.label.name,
                )
            )
    return [files[name] for name in names]


def _half_way(label: Label, interrupted: JournalEntry, command: Direction) -> MigrationError:
    return MigrationError(
        _(
            "{migration} of {label} is partly applied: it stopped at statement {step}. Finish it: "
            "sanicGuider migrate {command} {service}",
            migration=interrupted.migration,
            label=label.name,
            step=interrupted.step,
            command=command,
            service=label.service,
        )
    )


def _named(status: MigrationStatus, wanted: str) -> Migration:
    for migration in status.migrations:
        if wanted in (migration.name, migration.path.stem) or (wanted.isdigit() and int(wanted) == migration.number):
            return migration
    label = status.label
    raise MigrationError(
        _(
            "{label} has no migration {migration}. See: sanicGuider migrate history {service}",
            label=label.name,
            migration=wanted,
            service=label.service,
        )
    )
