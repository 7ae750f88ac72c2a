"""Numbers in paths: `<number:int>` and `<ratio:float>` match what is written as in JSON. Python's int and float take
`1_0`, ` 1` and `007` as well, so one thing would have many addresses."""

from __future__ import annotations

import re

from sanicbase.typing import App

__all__ = ["INTEGER", "install_path_numbers"]

INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


def install_path_numbers(app: App) -> None:
    """Replace Sanic's types of that name, of this app only."""
    app.router.register_pattern("int", integer_segment, f"^{INTEGER.pattern}$")
    app.router.register_pattern("float", float_segment, f"^{FLOAT.pattern}$")


def integer_segment(text: str) -> int:
    """The integer that a segment of a path is. Raises ValueError, and then another route is tried."""
    if INTEGER.fullmatch(text) is None:
        raise ValueError(text)
    return int(text)


def float_segment(text: str) -> float:
    """The number that a segment of a path is. Raises ValueError, and then another route is tried."""
    if FLOAT.fullmatch(text) is None:
        raise ValueError(text)
    return float(text)
