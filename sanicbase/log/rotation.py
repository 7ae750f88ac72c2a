"""When a log file has to make room for a new one, and what it is called then."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path

from sanicbase.config import Config

__all__ = ["Rotation", "older_files", "older_name"]

PERIODS = {"day": "%Y-%m-%d", "hour": "%Y-%m-%d_%H"}
MOMENT = "%Y-%m-%d_%H-%M-%S"
# A file system's clock may be a tick behind this one. A line at the very start of a day would look like one of the day
# before, and the file would be rotated once more; so a day begins this many seconds late.
TICK = 0.02

_NUMBERED = re.compile(r"^(?P<label>.+?)(?:\.(?P<number>\d+))?$")


class Rotation:
    """By size, by day or hour in a time zone, or never."""

    def __init__(self, zone: tzinfo, *, max_size: float = math.inf, period: str = "") -> None:
        """`max_size` is in bytes, `period` the name of a period by strftime's rules."""
        self.max_size = max_size
        self._zone = zone
        self._period = period

    @classmethod
    def of(cls, config: Config, zone: tzinfo) -> Rotation:
        """What the settings say."""
        if config.LOG_ROTATION == "size":
            return cls(zone, max_size=config.LOG_MAX_SIZE)
        return cls(zone, period=PERIODS.get(config.LOG_ROTATION, ""))

    def due(self, file: os.stat_result, upcoming: int) -> str | None:
        """The label under which the file is put away before `upcoming` bytes more are written, or None.

        A file belongs to the period in which it was last written, which every process can see. A clock that is set
        back changes nothing.
        """
        if not file.st_size:
            return None
        if file.st_size + upcoming > self.max_size:
            return self._label(MOMENT, time.time())
        if not self._period:
            return None
        period = self._label(self._period, file.st_mtime)
        return period if self._label(self._period, time.time() - TICK) > period else None

    def _label(self, pattern: str, moment: float) -> str:
        return datetime.fromtimestamp(moment, self._zone).strftime(pattern)


def older_name(current: Path, label: str) -> Path:
    """A name for the file that is put away: `run.log.2026-11-23`, with a number when there is such a file already."""
    numbers = [number for path in older_files(current) for found, number in [_split(current, path)] if found == label]
    suffix = f".{max(numbers) + 1}" if numbers else ""
    return current.with_name(f"{current.name}.{label}{suffix}")


def older_files(current: Path) -> list[Path]:
    """The files that were put away, the oldest first, compressed or not."""
    found = [path for path in current.parent.glob(f"{current.name}.*") if path.suffix != ".tmp"]
    return sorted(found, key=_age(current))


def _age(current: Path) -> Callable[[Path], tuple[int, str, int]]:
    def age(path: Path) -> tuple[int, str, int]:
        try:
            return path.stat().st_mtime_ns, *_split(current, path)
        except OSError:  # somebody else has just deleted or compressed it
            return 0, *_split(current, path)

    return age


def _split(current: Path, path: Path) -> tuple[str, int]:
    rest = path.name.removeprefix(f"{current.name}.").removesuffix(".gz")
    found = _NUMBERED.match(rest)
    return (found["label"], int(found["number"] or 0)) if found else (rest, 0)
