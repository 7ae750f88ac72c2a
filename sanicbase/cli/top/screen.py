"""The view on the whole terminal, with rich."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import click

from sanicbase.cli.table import width
from sanicbase.cli.top.plain import heading
from sanicbase.cli.top.sections import Section, sections
from sanicbase.i18n import gettext as _
from sanicbase.top.figures import Figures

try:
    from rich.console import Console, Group, RenderableType
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text
except ImportError as exc:
    raise click.ClickException(
        _(
            "The live view needs rich: {command}. Without it, use --once or --json.",
            command="pip install 'sanicbase[top]'",
        )
    ) from exc

__all__ = ["rendered", "show"]

GAP, MIN_WIDTH = 2, 8


def show(views: Iterable[Figures | str], interval: float) -> None:
    """Show each view, or the sentence in its place, for that many seconds, until `q` is pressed."""
    console = Console()
    with _keys() as quits, Live(console=console, screen=True, auto_refresh=False) as live:
        for view in views:
            live.update(rendered(view, console.width), refresh=True)
            if quits(interval):
                return


def rendered(view: Figures | str, columns: int) -> RenderableType:
    """A view, or a sentence, for rich, on a terminal with that many columns."""
    foot = Text(_("q quits"), style="dim")
    if isinstance(view, str):
        return Group(Text(view, style="yellow"), foot)
    problems = [Text(problem, style="yellow") for problem in view.problems]
    parts: list[RenderableType] = [Text(heading(view), style="bold"), *problems]
    for section in sections(view):
        parts += [Text(""), Text(section.title, style="bold cyan"), _table(section, columns)]
    return Group(*parts, Text(""), foot)


def _table(section: Section, columns: int) -> Table:
    # Cells are of Text: in a str, rich would read the markup of a client's path.
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for index, (name, taken) in enumerate(zip(section.columns, _widths(section, columns), strict=True)):
        side: Literal["left", "right"] = "right" if index in section.numbers else "left"
        table.add_column(name, justify=side, no_wrap=True, overflow="ellipsis", width=taken)
    for row in section.rows:
        table.add_row(*map(Text, row))
    return table


def _widths(section: Section, columns: int) -> list[int]:
    """The width of each column: as wide as its cells, but the flexible one gives way."""
    widths = [max(map(width, cells)) for cells in zip(section.columns, *section.rows, strict=True)]
    too_wide = sum(widths) + GAP * (len(widths) - 1) - columns
    if section.flexible is not None and too_wide > 0:
        widths[section.flexible] = max(MIN_WIDTH, widths[section.flexible] - too_wide)
    return widths


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """A function that waits, and returns early with True when `q` is pressed."""
    if os.name != "posix" or not sys.stdin.isatty():
        yield _sleep
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield _q_pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _q_pressed(seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0] and os.read(sys.stdin.fileno(), 64) in (b"", b"q", b"Q"):
            return True  # an end of the input is that of the terminal
    return False
