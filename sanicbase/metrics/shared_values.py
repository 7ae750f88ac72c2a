"""The values of one process, in memory that it shares with its main process.

A value is written in place, so it survives if its process is killed, and reading costs the writer nothing. The memory
has three parts: a header, descriptions of series, each a line of JSON, and values, each a double. The writer adds a
description, and then publishes the new length of the descriptions; neither part ever shrinks. The main process writes
into the header until when the process is to count everything, and the process whether it does.
"""

from __future__ import annotations

import json
import logging
import math
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import reduction
from typing import Literal, NamedTuple

__all__ = ["Kind", "Series", "SharedValues"]

logger = logging.getLogger("sanicbase.metrics")

Kind = Literal["counter", "gauge", "histogram"]

DESCRIPTIONS = 4 * 1024 * 1024  # bytes; the system provides those that are used
VALUES = 262_144
HEADER = 24  # bytes: the published length of the descriptions, until when all is counted, and whether it is
FIRST_VALUE = HEADER + DESCRIPTIONS
SIZE = FIRST_VALUE + 8 * VALUES
SPILL = VALUES - 64  # the first of the values that belong to no series, which are used when the others are exhausted


class Series(NamedTuple):
    """One series of a metric. A histogram has a value for each of its bounds, one for the rest, and the sum."""

    name: str
    kind: Kind
    description: str
    labels: tuple[tuple[str, str], ...]
    bounds: tuple[float, ...] = ()
    """The upper bounds of a histogram's buckets, without +Inf."""
    takes_maximum: bool = False
    """Whether the gauge is the maximum of all processes instead of their sum."""
    keeps_maximum: bool = False
    """Whether that maximum outlives its process."""

    @property
    def width(self) -> int:
        """The number of its values."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


class SharedValues:
    """The series of one process. One process writes, in one thread; the one that created it may read at any time.

    It can be an argument of a process that multiprocessing starts. The creator calls `close` when that process has
    ended.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = _new_file() if descriptor is None else descriptor
        self._map = mmap.mmap(self._descriptor, SIZE)
        self._memory = memory = memoryview(self._map)
        self._length = memory[:8].cast("q")
        self._demand = memory[8:HEADER].cast("d")
        self._descriptions = memory[HEADER:FIRST_VALUE]
        self.values = memory[FIRST_VALUE:].cast("d")
        self._used = 0
        self._parsed = 0
        self._is_full = False
        self._series: list[Series] = []

    @property
    def descriptor(self) -> int:
        """The descriptor of its file, for a process that inherits it."""
        return self._descriptor

    @property
    def demanded_until(self) -> float:
        """Until when the process is to count everything, by `time.monotonic`, which is the same in all processes."""
        return self._demand[0]

    @demanded_until.setter
    def demanded_until(self, moment: float) -> None:
        self._demand[0] = moment

    @property
    def is_demanded(self) -> bool:
        """Whether the process is to count everything now."""
        return self._demand[0] > time.monotonic()

    @property
    def is_demanded_always(self) -> bool:
        """Whether the process is to count everything from its start to its end."""
        return self._demand[0] == math.inf

    @property
    def is_complete(self) -> bool:
        """Whether the process counts everything, as it says itself."""
        return bool(self._demand[1])

    @is_complete.setter
    def is_complete(self, complete: bool) -> None:
        self._demand[1] = complete

    def __reduce__(self) -> tuple[object, ...]:
        return _received, (reduction.DupFd(self._descriptor),)

    def add(self, series: Series) -> int:
        """Add a series. Returns the position of its first value. If no space is left, values written there are lost."""
        line = json.dumps(series).encode() + b"\n"
        start, end = self._used, self._length[0] + len(line)
        if start + series.width > SPILL or end > DESCRIPTIONS:
            self._warn()
            return SPILL
        self._descriptions[end - len(line) : end] = line
        self._used += series.width
        self._length[0] = end
        return start

    def _warn(self) -> None:
        if not self._is_full:
            self._is_full = True
            logger.warning("The metrics of this process have too many series: further ones are not counted.")

    def read(self) -> Iterator[tuple[Series, list[float]]]:
        """Each series with its values."""
        end = self._length[0]
        for line in bytes(self._descriptions[self._parsed : end]).splitlines():
            self._series.append(_parse(line))
        self._parsed = end
        values = list(self.values[: sum(series.width for series in self._series)])
        at = 0
        for series in self._series:
            yield series, values[at : at + series.width]
            at += series.width

    def release_descriptor(self) -> None:
        """Close the descriptor after the process has received it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def close(self) -> None:
        """Release the memory."""
        self.release_descriptor()
        for view in (self.values, self._descriptions, self._demand, self._length, self._memory):
            view.release()
        self._map.close()


def _parse(line: bytes) -> Series:
    name, kind, description, labels, bounds, *maximum = json.loads(line)
    return Series(name, kind, description, tuple((*label,) for label in labels), tuple(bounds), *maximum)


def _new_file() -> int:
    if sys.platform == "linux":
        descriptor = os.memfd_create("sanicbase-metrics")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, SIZE)
    return descriptor


def _received(sent: object) -> SharedValues:
    return SharedValues(sent.detach())  # type: ignore[attr-defined]  # multiprocessing's DupFd has no public type
