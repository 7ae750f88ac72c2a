"""When a log file is rotated, and the name of the rotated file."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path

from sanicbase.config import Config

__all__ = ["Rotation", "rotated_files", "rotated_name"]

PERIODS = {"day": "%Y-%m-%d", "hour": "%Y-%m-%d_%H"}
MOMENT = "%Y-%m-%d_%H-%M-%S"
# A file system's clock may be a tick behind the system's. A line at the very start of a day would look like one of the
# day before, and the file would be rotated once more; so a day begins this many seconds late.
TICK = 0.02

_NUMBERED = re.compile(r"^(?P<label>.+?)(?:\.(?P<number>\d+))?$")


class Rotation:
    """Rotation by size, by day or hour in a time zone, or none."""

    def __init__(self, zone: tzinfo, *, max_size: float = math.inf, period: str = "") -> None:
        """`max_size` is in bytes, `period` the strftime format of a period."""
        self.max_size = max_size
        self._zone = zone
        self._period = period

    @classmethod
    def of(cls, config: Config, zone: tzinfo) -> Rotation:
        """Configured by the settings."""
        if config.LOG_ROTATION == "size":
            return cls(zone, max_size=config.LOG_MAX_SIZE)
        return cls(zone, period=PERIODS.get(config.LOG_ROTATION, ""))

    def due(self, file: os.stat_result, upcoming: int) -> str | None:
        """The label of the rotated file when the file is due before `upcoming` more bytes are written, None otherwise.

        A file belongs to the period in which it was last written, which every process can see. Setting the clock back
        changes nothing.
        """
        if not file.st_size:
            return None
        if file.st_size + upcoming > self.max_size:
            return self._label(MOMENT, time.time())
        if not self._period:
            return None
        period = self._label(self._period, file.st_mtime)
        return period if self._label(self._period, time.time() - TICK) > period else None

    def _label(self, pattern: str, timestamp: float) -> str:
        return datetime.fromtimestamp(timestamp, self._zone).strftime(pattern)


def rotated_name(current: Path, label: str) -> Path:
    """The name of the rotated file: `run.log.2026-11-23`, with a number when that file already exists."""
    numbers = [number for path in rotated_files(current) for other, number in [_split(current, path)] if other == label]
    suffix = f".{max(numbers) + 1}" if numbers else ""
    return current.with_name(f"{current.name}.{label}{suffix}")


def rotated_files(current: Path) -> list[Path]:
    """The rotated files, the oldest first, compressed or not."""
    paths = [path for path in current.parent.glob(f"{current.name}.*") if path.suffix != ".tmp"]
    return sorted(paths, key=_age(current))


def _age(current: Path) -> Callable[[Path], tuple[int, str, int]]:
    def age(path: Path) -> tuple[int, str, int]:
        try:
            return path.stat().st_mtime_ns, *_split(current, path)
        except OSError:  # another process has just deleted or compressed it
            return 0, *_split(current, path)

    return age


def _split(current: Path, path: Path) -> tuple[str, int]:
    rest = path.name.removeprefix(f"{current.name}.").removesuffix(".gz")
    match = _NUMBERED.match(rest)
    return (match["label"], int(match["number"] or 0)) if match else (rest, 0)
