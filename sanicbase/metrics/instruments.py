"""Counter, Gauge and Histogram: the metrics of a process.

A metric is declared once, when its module is imported, and counts as soon as its process has shared values; a process
without them counts nothing. Metrics may be used only in the thread of the event loop.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence

from sanicbase.metrics.shared_values import Kind, Series, SharedValues

__all__ = [
    "MAX_SERIES",
    "OTHER",
    "RUN_SECONDS",
    "SECONDS",
    "SIZES",
    "Counter",
    "Gauge",
    "Histogram",
    "count_into",
    "is_counting",
]

NAME = re.compile(r"[a-z_][a-z0-9_]*")
MAX_SERIES = 2000
"""The maximum number of series of one metric in one process; further ones share one series, whose labels are OTHER."""
OTHER = "(other)"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RUN_SECONDS = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
SIZES = (256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0)

_instruments: dict[str, _Instrument] = {}
_shared: SharedValues | None = None
_is_on_demand = False


class _Instrument:
    """A metric, with a series for each combination of the values of its labels."""

    kind: Kind

    def __init__(self, name: str, description: str, labels: Sequence[str] = ()) -> None:
        if invalid := [word for word in (name, *labels) if NAME.fullmatch(word) is None]:
            raise ValueError(f"{invalid[0]!r} is not a name of a metric or a label: use lowercase letters, digits, _.")
        self.name = name
        self.description = description
        self.labels = tuple(labels)
        self._bounds: tuple[float, ...] = ()
        self._takes_maximum = self._keeps_maximum = False
        _instruments[name] = self  # a module that is imported again declares its metrics again
        self._attach(_shared)

    def _attach(self, shared: SharedValues | None) -> None:
        self._starts: dict[tuple[str, ...], int] = {}
        self._shared = shared
        self._values = None if shared is None else shared.values

    def _start(self, labels: tuple[str, ...]) -> int:
        """The position of a series' first value; a new series gets one."""
        start = self._starts.get(labels)
        if start is not None:
            return start
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, but was given {labels}.")
        if len(self._starts) >= MAX_SERIES:
            other = (OTHER,) * len(labels)
            return self._starts[other] if other in self._starts else self._add(other)
        return self._add(labels)

    def _add(self, labels: tuple[str, ...]) -> int:
        assert self._shared is not None  # noqa: S101
        named = tuple(zip(self.labels, labels, strict=True))
        maximum = (self._takes_maximum, self._keeps_maximum)
        series = Series(self.name, self.kind, self.description, named, self._bounds, *maximum)
        self._starts[labels] = start = self._shared.add(series)
        return start


class Counter(_Instrument):
    """A number that only increases; its name ends with `_total`.

        orders = Counter("shop_orders_total", "Orders by payment.", ["payment"])
        orders.inc("card")

    The values of labels must come from a small set: beyond 2000 series, further ones are counted as `(other)`.
    """

    kind: Kind = "counter"

    def __init__(self, name: str, description: str, labels: Sequence[str] = ()) -> None:
        if not name.endswith("_total"):
            raise ValueError(f"The name of a counter ends with _total: {name}_total.")
        super().__init__(name, description, labels)

    def inc(self, *labels: str, amount: float = 1) -> None:
        """Add `amount` to the series with these values of the labels."""
        if self._values is not None:
            start = self._start(labels)
            self._values[start] += amount

    def bind(self, *labels: str) -> Callable[[], None]:
        """A function that adds 1 to that series, at a third of the cost. Bind when the process counts already."""
        values = self._values
        if values is None:
            return _do_nothing
        start = self._start(labels)

        def inc() -> None:
            values[start] += 1

        return inc


class Gauge(_Instrument):
    """A number that increases and decreases. The values of all processes are summed, except those that have ended.

    With `takes_maximum`, the gauge is the largest value of the processes that run: for example, the length of a queue
    that each of them sees. With `keeps_maximum`, it is that of all processes, including those that have ended: for
    example, the time of the last success.
    """

    kind: Kind = "gauge"

    def __init__(
        self,
        name: str,
        description: str,
        labels: Sequence[str] = (),
        *,
        takes_maximum: bool = False,
        keeps_maximum: bool = False,
    ) -> None:
        super().__init__(name, description, labels)
        self._takes_maximum = takes_maximum or keeps_maximum
        self._keeps_maximum = keeps_maximum

    def set(self, value: float, *labels: str) -> None:
        """Set the series with these values of the labels."""
        if self._values is not None:
            start = self._start(labels)
            self._values[start] = value

    def inc(self, *labels: str, amount: float = 1) -> None:
        """Add `amount`, which may be negative."""
        if self._values is not None:
            start = self._start(labels)
            self._values[start] += amount

    def bind(self, *labels: str) -> Callable[[float], None]:
        """A function that adds to that series, at a third of the cost. Bind when the process counts already."""
        values = self._values
        if values is None:
            return _do_nothing
        start = self._start(labels)

        def add(amount: float) -> None:
            values[start] += amount

        return add


class Histogram(_Instrument):
    """The number of observations up to each of the bounds, and their sum."""

    kind: Kind = "histogram"

    def __init__(
        self, name: str, description: str, labels: Sequence[str] = (), *, bounds: Sequence[float] = SECONDS
    ) -> None:
        super().__init__(name, description, labels)
        if not 0 < len(bounds) <= 60 or list(bounds) != sorted(set(bounds)):
            raise ValueError(f"The bounds of {name} must be 1 to 60 numbers, each larger than the one before.")
        self._bounds = tuple(bounds)

    def observe(self, value: float, *labels: str) -> None:
        """Record an observation in the series with these values of the labels."""
        if self._values is not None:
            start = self._start(labels)
            values, bounds = self._values, self._bounds
            values[start + bisect_left(bounds, value)] += 1
            values[start + len(bounds) + 1] += value

    def bind(self, *labels: str) -> Callable[[float], None]:
        """A function that records an observation in that series, at a third of the cost. Bind when the process counts
        already."""
        values, bounds = self._values, self._bounds
        if values is None:
            return _do_nothing
        start = self._start(labels)
        total = start + len(bounds) + 1

        def observe(value: float) -> None:
            values[start + bisect_left(bounds, value)] += 1
            values[total] += value

        return observe


def _do_nothing(*_: float) -> None:
    """Counts nothing."""


def count_into(shared: SharedValues | None, *, on_demand: bool = False) -> None:
    """Let this process count into these values from now on; with None, it counts nothing.

    With `on_demand`, it counts what is cheap, and the rest while that is demanded (sanicbase.metrics.demand).
    """
    global _shared, _is_on_demand
    if shared is not None and shared is _shared:  # its series have their places
        return
    _shared, _is_on_demand = shared, on_demand
    for instrument in _instruments.values():
        instrument._attach(shared)  # noqa: SLF001


def is_counting() -> bool:
    """Whether this process counts everything, from its start to its end."""
    return _shared is not None and not _is_on_demand
