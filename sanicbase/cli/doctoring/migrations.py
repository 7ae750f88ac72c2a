"""What may go wrong when the migrations are made and applied that the databases lack: told before the command."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Container, Sequence

from sanicbase.cli.doctoring.finding import Finding, of_error
from sanicbase.config import Config
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.checking.check import Depth, check_label
from sanicbase.migrations.checking.findings import Finding as Danger
from sanicbase.migrations.drift import UnreadableNote, Unwritten, unwritten_changes
from sanicbase.migrations.pending import aerich_command
from sanicbase.migrations.standing import labels_of
from sanicbase.migrations.versions import followed_migrations, foreign_migrations

__all__ = ["look_at_migrations"]

OTHERS = ("models.", "dialect.")
"""What `unwritten_changes` and `lacking` tell of."""
SHOWN = 200  # characters of the statements that a migration would have


async def look_at_migrations(
    config: Config, labels: Container[str], pending: Sequence[Finding]
) -> AsyncIterator[Finding]:
    """The dangers of what is pending and of what is not written yet, and then what to run; the databases are open for
    migrations. `pending` says what to do about migrations that are not applied."""
    dangers = await _dangers(config, labels)
    for found in dangers.values():
        for danger in found:
            yield _of(danger)
    for finding in pending:
        yield finding
    try:
        changes = await unwritten_changes(config)
    except UnreadableNote as exc:
        yield _unreadable_note(exc, await aerich_command(config, exc.label))
        return
    for label, unwritten in changes.items():
        if unwritten.question:
            for finding in of_error("migrations.unwritten", MigrationError(unwritten.question)):
                yield finding
        else:
            first = any(not danger.file for danger in dangers.get(label, ()))
            yield _unwritten(label, unwritten, await aerich_command(config, label), first=first)


async def _dangers(config: Config, labels: Container[str]) -> dict[str, list[Danger]]:
    """The errors that `migrate check` finds, by the label; of changes of the models as such others tell."""
    found: dict[str, list[Danger]] = {}
    for label in labels_of(config):
        name = label.name
        if name in labels and followed_migrations(config, name) and not foreign_migrations(config, name):
            dangers = await check_label(config, label, Depth())
            found[name] = [each for each in dangers if each.severity == "error" and not each.code.startswith(OTHERS)]
    return found


def _of(danger: Danger) -> Finding:
    place = f"{danger.place}: " if danger.place else ""
    return Finding(danger.code, "error", f"{place}{danger.sentence}", danger.remedy)


def _unwritten(label: str, unwritten: Unwritten, aerich: str, *, first: bool) -> Finding:
    """`first` says that the change has dangers of its own, which were told."""
    upgrade = f"{aerich.rpartition(' && ')[2]} upgrade"
    shown = textwrap.shorten("; ".join(unwritten.statements), SHOWN, placeholder=" …")
    run = f"{aerich} migrate && {upgrade}"
    return Finding(
        "migrations.unwritten",
        "error",
        _("The models of {label} have changed since the last migration: {statements}", label=label, statements=shown),
        _("See to the findings above first, then run: {command}", command=run)
        if first
        else _("Run: {command}", command=run),
    )


def _unreadable_note(error: UnreadableNote, aerich: str) -> Finding:
    row, label, reason = error.row, error.label, error.reason
    return Finding(
        "migrations.unreadable",
        "error",
        _(
            "In the table aerich of the default database, row {row}, which is about {label}, was not read: {reason}.",
            row=row,
            label=label,
            reason=reason,
        ),
        _("Find out who may write to the table, then delete the row and run: {aerich} upgrade --fake", aerich=aerich),
    )
