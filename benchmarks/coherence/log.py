"""What a process has seen: a line for each get and each write, in a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import orjson

from benchmarks.coherence.shelf import CachedItem

__all__ = ["Get", "Log", "Written", "read_log"]


class Get(NamedTuple):
    """A get of a key, or by a slug of it. `version` is None where there was no such row."""

    key: int
    slug: str | None
    start: float
    end: float
    version: int | None
    token: str = ""
    found: str = ""  # its slug


class Written(NamedTuple):
    """A write that has returned."""

    key: int
    start: float
    end: float
    version: int
    token: str


class Log:
    """Lines of one process; what was not flushed when it was killed is lost, which only leaves less to be checked."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=1 << 14)

    def got(self, key: int, slug: str | None, start: float, end: float, entry: CachedItem | None) -> None:
        values = (None, "", "") if entry is None else (entry.version, entry.token, entry.slug)
        self.note("get", Get(key, slug, start, end, *values))

    def note(self, kind: str, values: Any) -> None:
        plain = tuple(values) if isinstance(values, tuple) else values
        self._file.write(orjson.dumps([kind, plain]) + b"\n")

    def flush(self) -> None:
        self._file.flush()


def read_log(path: Path) -> list[tuple[str, Any]]:
    """The lines of a file; a last one that a kill has cut is none."""
    entries: list[tuple[str, Any]] = []
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            kind, values = orjson.loads(line)
            entries.append((kind, values))
    return entries
