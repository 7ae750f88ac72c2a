"""What a service's databases have of its migrations, and what they lack, as text."""

from __future__ import annotations

from collections.abc import Iterator

from sanicbase.cli.table import table
from sanicbase.i18n import gettext as _
from sanicbase.migrations.planning import Plan
from sanicbase.migrations.standing import Label, Standing
from sanicbase.migrations.statements import DATABASES

__all__ = ["history_of", "script_of"]


def history_of(standing: Standing) -> str:
    """A table of all migrations: applied, when, or not yet."""
    rows = [(_("migration"), _("state"), _("applied at"))]
    rows += [(name, state, when) for name, state, when in _history(standing)]
    return f"{_head(standing.label)}\n{table(rows)}"


def script_of(standing: Standing, plans: list[Plan]) -> str:
    """The SQL that `up` would carry out, with comments that say what it locks."""
    return "\n".join([f"-- {_head(standing.label)}", *(line for plan in plans for line in _script(plan))])


def _history(standing: Standing) -> Iterator[tuple[str, str, str]]:
    files = {migration.name for migration in standing.migrations}
    changed = {migration.name for migration in standing.changed}
    begun = standing.begun
    for name in [*standing.missing, *(migration.name for migration in standing.migrations)]:
        note = standing.whole.get(name)
        if begun and begun.migration == name:
            state = _("stopped at statement {step}", step=begun.step)
        elif name not in standing.applied:
            state = _("not applied")
        elif name not in files:
            state = _("applied, file is missing")
        elif name in changed:
            state = _("applied, file was changed")
        else:
            state = _("applied")
        yield name, state, str(note.at).partition(".")[0] if note else ""


def _script(plan: Plan) -> Iterator[str]:
    whole = _("one transaction") if plan.is_transaction else _("statement by statement")
    yield f"\n-- {plan.migration.name} ({whole})"
    for number, statement in enumerate(plan.statements, 1):
        if number <= plan.done:
            yield _("-- statement {number} is carried out already", number=number)
        else:
            yield f"-- {statement.lock.sentence()}\n{statement.sql};"
    if plan.migration.data is not None:
        inside = plan.migration.data_in_transaction
        batches = _("in one transaction") if inside else _("in batches")
        yield _("-- migrate_data: rows, {mode}", mode=batches)


def _head(label: Label) -> str:
    return _(
        "{label} on {database}, connection {connection}",
        label=label.name,
        database=DATABASES[label.dialect],
        connection=label.connection,
    )
