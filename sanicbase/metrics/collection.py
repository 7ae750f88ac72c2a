"""The values of all processes of a service, collected in its main process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.shared_values import Series, SharedValues

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = ["DEMAND", "Collection", "Rendered"]

DEMAND = 90.0
"""The seconds for which processes count everything after somebody has asked for it: a script may ask once a minute."""


class Rendered(NamedTuple):
    """All metrics as text, and its content type."""

    text: bytes
    content_type: str


class Collection:
    """The values of the main process and of its workers, in one event loop.

    When a worker has ended, its values are added to those of all ended workers, and its memory is released. Both happen
    once and in one step, so no count is lost or doubled, whatever ended the worker.

    The processes count everything `always`, or while that is demanded.
    """

    def __init__(self, *, always: bool = True) -> None:
        self._demanded_until = math.inf if always else 0.0
        self._live: set[SharedValues] = set()
        self.own = self.new()
        """The values of the main process."""
        self._ended: dict[Series, list[float]] = {}
        self._updates: list[Callable[[], None]] = []
        count_into(self.own, on_demand=not always)

    def update_with(self, update: Callable[[], None]) -> None:
        """Register `update`, which is called before the values are read, to set gauges."""
        self._updates.append(update)

    def new(self) -> SharedValues:
        """Create the values of a new worker."""
        shared = SharedValues()
        shared.demanded_until = self._demanded_until
        self._live.add(shared)
        return shared

    def demand(self) -> None:
        """Have all processes count everything for DEMAND seconds from now on. They begin within a second."""
        self._demanded_until = max(self._demanded_until, time.monotonic() + DEMAND)
        for shared in self._live:
            shared.demanded_until = self._demanded_until

    def ended(self, shared: SharedValues) -> None:
        """Keep the counts of a worker that has ended. Its gauges end with it."""
        if shared in self._live:
            self._live.discard(shared)
            _merge(self._ended, (values for values in shared.read() if _outlives(values[0])))
            shared.close()

    def close(self) -> None:
        """Release all memory."""
        count_into(None)
        for shared in self._live:
            shared.close()
        self._live.clear()

    def merged(self) -> dict[Series, list[float]]:
        """The values of all processes together, by their series."""
        merged = {series: [*values] for series, values in self._ended.items()}
        for shared in self._live:
            _merge(merged, shared.read())
        return merged

    def collect(self) -> Iterator[Metric]:
        """The metrics, as objects of prometheus_client."""
        from prometheus_client import Metric

        for update in self._updates:
            update()
        metrics: dict[str, Metric] = {}
        for series, values in sorted(self.merged().items()):
            name = series.name.removesuffix("_total") if series.kind == "counter" else series.name
            metric = metrics.setdefault(name, Metric(name, series.description, series.kind))
            if metric.type == series.kind:  # after a reload, new code may use a name for another kind
                for suffix, labels, value in _samples(series, values):
                    metric.add_sample(name + suffix, labels, value)
        yield from metrics.values()

    def render(self, accept: str) -> Rendered:
        """All metrics in the format that the header Accept prefers."""
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return Rendered(encode(self), content_type)


def _outlives(series: Series) -> bool:
    """Whether the values of a series count when their process has ended."""
    return series.kind != "gauge" or series.keeps_maximum


def _merge(into: dict[Series, list[float]], read: Iterable[tuple[Series, list[float]]]) -> None:
    for series, values in read:
        before = into.get(series)
        if before is None:
            into[series] = values
        elif series.takes_maximum:
            into[series] = [max(before[0], values[0])]
        else:
            into[series] = [value + other for value, other in zip(before, values, strict=True)]


def _samples(series: Series, values: list[float]) -> Iterator[tuple[str, dict[str, str], float]]:
    """The samples of a series: the suffix of its name, its labels, and its value."""
    labels = dict(series.labels)
    if series.kind != "histogram":
        yield "_total" if series.kind == "counter" else "", labels, values[0]
        return
    *buckets, total = values
    counts = list(accumulate(buckets))
    for bound, count in zip((*map(str, series.bounds), "+Inf"), counts, strict=True):
        yield "_bucket", {**labels, "le": bound}, count
    yield "_count", labels, counts[-1]  # derived from the buckets, so that the two always agree
    yield "_sum", labels, total
