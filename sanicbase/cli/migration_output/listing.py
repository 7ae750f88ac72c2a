"""The migrations of a service's databases, as text."""

from __future__ import annotations

from collections.abc import Iterator

from sanicbase.cli.table import table
from sanicbase.i18n import gettext as _
from sanicbase.migrations.plan import PlannedMigration
from sanicbase.migrations.statements import DATABASE_NAMES
from sanicbase.migrations.status import Label, MigrationStatus

__all__ = ["history_of", "script_of"]


def history_of(status: MigrationStatus) -> str:
    """A table of all migrations: applied and when, or not applied."""
    rows = [(_("migration"), _("state"), _("applied at"))]
    rows += [(name, state, when) for name, state, when in _history(status)]
    return f"{_head(status.label)}\n{table(rows)}"


def script_of(status: MigrationStatus, plans: list[PlannedMigration]) -> str:
    """The SQL that `up` would execute, with comments about its locks."""
    return "\n".join([f"-- {_head(status.label)}", *(line for plan in plans for line in _script(plan))])


def _history(status: MigrationStatus) -> Iterator[tuple[str, str, str]]:
    files = {migration.name for migration in status.migrations}
    changed = {migration.name for migration in status.changed}
    interrupted = status.interrupted
    for name in [*status.missing, *(migration.name for migration in status.migrations)]:
        entry = status.applied_entries.get(name)
        if interrupted and interrupted.migration == name:
            state = _("stopped at statement {step}", step=interrupted.step)
        elif name not in status.applied:
            state = _("not applied")
        elif name not in files:
            state = _("applied, file is missing")
        elif name in changed:
            state = _("applied, file was changed")
        else:
            state = _("applied")
        yield name, state, str(entry.recorded_at).partition(".")[0] if entry else ""


def _script(plan: PlannedMigration) -> Iterator[str]:
    whole = _("one transaction") if plan.is_transaction else _("statement by statement")
    yield f"\n-- {plan.migration.name} ({whole})"
    for number, statement in enumerate(plan.statements, 1):
        if number <= plan.done:
            yield _("-- statement {number} was already executed", number=number)
        else:
            yield f"-- {statement.lock.sentence()}\n{statement.sql};"
    if plan.migration.migrate_data is not None:
        inside = plan.migration.data_in_transaction
        batches = _("in one transaction") if inside else _("in batches")
        yield _("-- migrate_data: rows, {mode}", mode=batches)


def _head(label: Label) -> str:
    return _(
        "{label} on {database}, connection {connection}",
        label=label.name,
        database=DATABASE_NAMES[label.dialect],
        connection=label.connection,
    )
