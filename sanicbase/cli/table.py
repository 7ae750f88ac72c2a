"""Aligned rows for a terminal, in which a Chinese character is as wide as two letters."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["table", "width"]


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows as lines; each column is as wide as its widest cell."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(_padded, row, widths)).rstrip() for row in rows)


def _padded(text: str, wanted: int) -> str:
    return text + " " * (wanted - width(text))


def width(text: str) -> int:
    """The number of terminal columns of the text."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
