"""Finds what a downgrade would lose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sanicbase.i18n import gettext as _
from sanicbase.migrations.checks.findings import Finding
from sanicbase.migrations.checks.scripts import PendingMigration, Script
from sanicbase.migrations.checks.simulation import (
    ColumnAdded,
    ColumnDropped,
    Event,
    StatementEffects,
    TableCreated,
    TableDropped,
)

__all__ = ["check_downgrade"]


def check_downgrade(
    pending: PendingMigration,
    upgrade_effects: Sequence[StatementEffects],
    downgrade_effects: Sequence[StatementEffects],
) -> Iterator[Finding]:
    """The findings about the downgrade, whose steps start where those of the upgrade end."""
    if pending.down is None:
        return
    if not pending.down.statements:
        if pending.up.statements and not pending.is_first:
            yield _empty_downgrade(pending.down)
        return
    dropped = {
        _name(event)
        for effects in upgrade_effects
        for event in effects.events
        if isinstance(event, TableDropped | ColumnDropped)
    }
    for effects in downgrade_effects:
        lost = [event for event in effects.events if _loses(event)]
        recreated = [
            event
            for event in effects.events
            if isinstance(event, ColumnAdded | TableCreated) and _name(event) in dropped
        ]
        if lost:
            yield _drops_data(pending.down, lost)
        elif recreated:
            yield _recreated_empty(pending.down, recreated)


def _loses(event: Event) -> bool:
    return isinstance(event, TableDropped | ColumnDropped) and not (event.table.is_new and not event.table.origin)


def _name(event: Event) -> str:
    return (
        f"{event.table.name}.{event.column.name}"
        if isinstance(event, ColumnAdded | ColumnDropped)
        else event.table.name
    )


def _empty_downgrade(down: Script) -> Finding:
    return down.finding(
        "downgrade.empty",
        "warning",
        0,
        _("The downgrade is empty: `migrate down` cannot revert the migration."),
        _("Write the statements that undo the upgrade."),
    )


def _drops_data(down: Script, events: Sequence[Event]) -> Finding:
    listed = ", ".join(dict.fromkeys(map(_name, events)))
    return down.finding(
        "downgrade.loses-data",
        "warning",
        events[0].number,
        _("The downgrade drops {listed} with everything written there since the upgrade.", listed=listed),
        _copy_remedy(),
    )


def _recreated_empty(down: Script, events: Sequence[Event]) -> Finding:
    listed = ", ".join(dict.fromkeys(map(_name, events)))
    return down.finding(
        "downgrade.loses-data",
        "warning",
        events[0].number,
        _("The downgrade recreates {listed} without the data that the upgrade dropped.", listed=listed),
        _copy_remedy(),
    )


def _copy_remedy() -> str:
    return _("Keep a copy of the data for a downgrade, and accept this finding.")
