"""What the way back of a migration would cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sanicbase.i18n import gettext as _
from sanicbase.migrations.checking.findings import Finding
from sanicbase.migrations.checking.scripts import Script, Unit
from sanicbase.migrations.checking.walking import Added, Created, Dropped, Event, Gone, Step

__all__ = ["look_at_the_way_back"]


def look_at_the_way_back(unit: Unit, there: Sequence[Step], back: Sequence[Step]) -> Iterator[Finding]:
    """The findings about the downgrade, whose steps begin where those of the upgrade have ended."""
    if unit.down is None:
        return
    if not unit.down.statements:
        if unit.up.statements and not unit.is_first:
            yield _empty(unit.down)
        return
    gone = {_name(event) for step in there for event in step.events if isinstance(event, Gone | Dropped)}
    for step in back:
        lost = [event for event in step.events if _loses(event)]
        bare = [event for event in step.events if isinstance(event, Added | Created) and _name(event) in gone]
        if lost:
            yield _lost(unit.down, lost)
        elif bare:
            yield _bare(unit.down, bare)


def _loses(event: Event) -> bool:
    return isinstance(event, Gone | Dropped) and not (event.table.is_new and not event.table.origin)


def _name(event: Event) -> str:
    return f"{event.table.name}.{event.column.name}" if isinstance(event, Added | Dropped) else event.table.name


def _empty(down: Script) -> Finding:
    return down.finding(
        "downgrade.empty",
        "warning",
        0,
        _("The downgrade is empty: `migrate down` cannot take the migration back."),
        _("Write the statements that undo the upgrade."),
    )


def _lost(down: Script, events: Sequence[Event]) -> Finding:
    listed = ", ".join(dict.fromkeys(map(_name, events)))
    return down.finding(
        "downgrade.loses-data",
        "warning",
        events[0].number,
        _("The way back drops {listed}, and what was written there since the upgrade.", listed=listed),
        _kept(),
    )


def _bare(down: Script, events: Sequence[Event]) -> Finding:
    listed = ", ".join(dict.fromkeys(map(_name, events)))
    return down.finding(
        "downgrade.loses-data",
        "warning",
        events[0].number,
        _("The way back makes {listed} again, without what the upgrade has dropped there.", listed=listed),
        _kept(),
    )


def _kept() -> str:
    return _("Have a copy of it when you go back, and accept this finding.")
