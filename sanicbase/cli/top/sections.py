"""The figures of a service as tables of texts, for every kind of output."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sanicbase.i18n import gettext as _
from sanicbase.top.figures import Figures, RequestFigures

__all__ = ["Section", "printable", "sections"]

NONE = "-"
MEGABYTE = 1_000_000
MAX_SLOW = 5  # of each kind


class Section(NamedTuple):
    """A table with its title."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    numbers: frozenset[int]
    """The columns that are aligned to the right."""
    flexible: int | None = None
    """The column that is cut where the terminal is narrow."""


def sections(figures: Figures) -> list[Section]:
    """The tables of a service, without those that are empty."""
    found = (
        _processes(figures),
        _databases(figures),
        _caches(figures),
        _timers(figures),
        _slow_requests(figures),
        _slow_statements(figures),
    )
    return [section for section in found if section.rows]


def printable(text: str) -> str:
    """A text of a client or a service without characters that control a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _processes(figures: Figures) -> Section:
    columns = [
        _("process"), "pid", _("state"), _("requests/s"), "p50", "p99", _("errors"), _("lag"), _("memory"),
    ]  # fmt: skip
    rows: list[list[str]] = []
    for app in figures.apps:
        kind = app.name.removeprefix(f"{figures.service}_")
        state = _("up {duration}", duration=_duration((figures.moment - app.started).total_seconds()))
        rows.append([kind, str(app.pid), state, *_requests(app), "", ""])
        for worker in figures.workers:
            if (worker.app, worker.parent) == (app.name, app.pid):
                memory = NONE if worker.memory is None else f"{worker.memory / MEGABYTE:.0f} MB"
                row = [f"{kind} {worker.number}", str(worker.pid), _state(worker.state), *_requests(worker)]
                rows.append([*row, _time(worker.lag), memory])
    return Section(_("Workers"), columns, rows, frozenset(range(3, 9)) | {1})


def _requests(figures: RequestFigures) -> list[str]:
    rate = NONE if figures.requests_per_second is None else f"{figures.requests_per_second:.1f}"
    errors = NONE if figures.errors is None else str(figures.errors)
    return [rate, _time(figures.p50), _time(figures.p99), errors]


def _state(state: str) -> str:
    names = {
        "starting": _("starting"),
        "serving": _("serving"),
        "draining": _("draining"),
        "hanging": _("hanging"),
    }
    return names.get(state, state)


def _databases(figures: Figures) -> Section:
    rows = [
        [pool.app, printable(pool.database), str(pool.in_use), str(pool.idle), str(pool.waiting)]
        for pool in figures.databases
    ]
    columns = [_("service"), _("database"), _("in use"), _("idle"), _("waiting")]
    return Section(_("Database pools"), columns, rows, frozenset((2, 3, 4)))


def _caches(figures: Figures) -> Section:
    rows = [[cache.app, printable(cache.model), str(cache.reads), _share(cache.hit_share)] for cache in figures.caches]
    return Section(_("Cache models"), [_("service"), _("model"), _("reads"), _("hit share")], rows, frozenset((2, 3)))


def _timers(figures: Figures) -> Section:
    rows = [
        [
            printable(timer.timer),
            _moment(timer.next),
            _moment(timer.last_success),
            str(timer.succeeded),
            str(timer.failed),
        ]
        for timer in figures.timers
    ]
    columns = [_("timer"), _("next run"), _("last success"), _("succeeded"), _("failed")]
    return Section(_("Timers"), columns, rows, frozenset((3, 4)), flexible=0)


def _slow_requests(figures: Figures) -> Section:
    rows = [
        [_clock(slow.moment), _time(slow.seconds), slow.request_id, f"{slow.status} {slow.method} {slow.path}"]
        for slow in figures.slow_requests[:MAX_SLOW]
    ]
    columns = [_("time"), _("took"), _("request id"), _("request")]
    return Section(_("Slow requests of the last minute"), columns, _all_printable(rows), frozenset((1,)), flexible=3)


def _slow_statements(figures: Figures) -> Section:
    rows = [
        [_clock(slow.moment), _time(slow.seconds), slow.request_id or NONE, f"{slow.database}: {slow.statement}"]
        for slow in figures.slow_statements[:MAX_SLOW]
    ]
    columns = [_("time"), _("took"), _("request id"), _("statement")]
    return Section(_("Slow statements of the last minute"), columns, _all_printable(rows), frozenset((1,)), flexible=3)


def _all_printable(rows: Iterable[list[str]]) -> list[list[str]]:
    return [[printable(cell) for cell in row] for row in rows]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _duration(seconds: float) -> str:
    for limit, length, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(seconds, 0) / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _share(share: float | None) -> str:
    return NONE if share is None else f"{share:.1%}"


def _moment(moment: datetime | None) -> str:
    return NONE if moment is None else f"{moment:%m-%d %H:%M:%S}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}"
