"""The view as plain text, for files, pipes and terminals that cannot move their cursor."""

from __future__ import annotations

from sanicbase.cli.table import table, width
from sanicbase.cli.top.sections import Section, sections
from sanicbase.i18n import gettext as _
from sanicbase.top.figures import Figures

__all__ = ["as_text", "heading"]


def as_text(figures: Figures, columns: int | None = None) -> str:
    """The view; lines are cut to that many columns of the terminal."""
    blocks = [heading(figures), *figures.problems, *map(_block, sections(figures))]
    lines = "\n\n".join(blocks).splitlines()
    return "\n".join(lines if columns is None else [_cut(line, columns) for line in lines])


def heading(figures: Figures) -> str:
    """The first line."""
    moment, seconds = f"{figures.moment:%Y-%m-%d %H:%M:%S}", f"{figures.seconds:.1f}"
    return _("{service}, {moment} UTC, the last {seconds} s", service=figures.service, moment=moment, seconds=seconds)


def _block(section: Section) -> str:
    return f"{section.title}\n{table([section.columns, *section.rows])}"


def _cut(line: str, columns: int) -> str:
    while width(line) > columns:
        line = line[: max(1, len(line) - (width(line) - columns + 1) // 2)] if line else line
    return line
