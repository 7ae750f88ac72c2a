"""Selects the migrations to apply or revert, and rejects what is not allowed."""

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
    """Options for applying migrations."""

    to: str = ""
    """The last migration to apply or to keep, by number or name; by default the last one."""
    fake: bool = False
    """Record the migrations without executing them."""
    out_of_order: bool = False
    """Also apply migrations that precede an applied one."""
    skip_statement: bool = False
    """Continue after the statement that failed in the last run, which was executed by hand."""
    lock_timeout: float = LOCK_TIMEOUT


def migrations_to_apply(status: MigrationStatus, options: Options) -> list[Migration]:
    """The migrations to apply. Raises MigrationError when they cannot be applied."""
    interrupted = status.interrupted
    if interrupted and interrupted.direction == "down":
        raise _interrupted_error(status.label, interrupted, "down")
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
    """The migrations to revert, the last one first. Raises MigrationError when they cannot be reverted."""
    files = {migration.name: migration for migration in status.migrations}
    if (interrupted := status.interrupted) and interrupted.direction == "up":
        raise _interrupted_error(status.label, interrupted, "up")
    names = [*reversed(status.applied)]
    if interrupted:
        names = names[: names.index(interrupted.migration) + 1]
    elif options.to:
        target = _named(status, options.to).name
        if target not in names:
            raise MigrationError(_("{migration} is not applied.", migration=target))
        names = names[: names.index(target)]
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


def _interrupted_error(label: Label, interrupted: JournalEntry, command: Direction) -> MigrationError:
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


def _named(status: MigrationStatus, name_or_number: str) -> Migration:
    for migration in status.migrations:
        if name_or_number in (migration.name, migration.path.stem) or (
            name_or_number.isdigit() and int(name_or_number) == migration.number
        ):
            return migration
    label = status.label
    raise MigrationError(
        _(
            "{label} has no migration {migration}. See: sanicGuider migrate history {service}",
            label=label.name,
            migration=name_or_number,
            service=label.service,
        )
    )
