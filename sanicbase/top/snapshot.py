"""What a main process knows of its service at one moment, as it is sent to those who watch.

Counts only increase, so the figures of an interval are the differences between two snapshots: the main process keeps
nothing for those who watch.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel

from sanicbase.metrics.collection import Collection
from sanicbase.metrics.instruments import SECONDS
from sanicbase.metrics.shared_values import Series, SharedValues
from sanicbase.metrics.slow import SlowEvent, SlowKind
from sanicbase.process.memory import resident_memory

__all__ = [
    "VERSION",
    "CacheCounts",
    "Counts",
    "Pool",
    "Process",
    "ProcessCounts",
    "ProcessState",
    "RecentSlow",
    "Slow",
    "Snapshot",
    "TimerCounts",
    "View",
]

VERSION = 1
"""Of the format. A client shows only services of its own version."""
MINUTE = 60.0
MAX_SLOW = 500  # events that are kept
MAX_SHOWN = 50  # of each kind, the slowest
MAX_ROWS = 200  # of pools, of cache models and of timers

REQUESTS, DURATION = "sanicbase_http_requests_total", "sanicbase_http_request_seconds"
LAG = "sanicbase_event_loop_lag_seconds"
CONNECTIONS, WAITING = "sanicbase_db_pool_connections", "sanicbase_db_pool_waiting"
CACHE_READS = "sanicbase_cache_reads_total"
TIMER_RUNS, TIMER_SUCCESS = "sanicbase_timer_runs_total", "sanicbase_timer_last_success_timestamp_seconds"
HITS = frozenset(("hits", "local_hits"))
READS = HITS | {"misses", "bypasses"}

Row = TypeVar("Row", bound=BaseModel)
ProcessState = Literal["starting", "serving", "draining", "hanging"]


class Process(NamedTuple):
    """A process of the service, by the number of its place."""

    number: int
    pid: int
    state: ProcessState
    values: SharedValues


class Counts(BaseModel):
    """What was counted since the start, or since somebody watches."""

    requests: int = 0
    errors: int = 0
    """Requests that were answered with 500 or more."""
    seconds: list[float] = []
    """How many requests took up to each of SECONDS, and longer."""
    lag: list[float] = []
    """How many timers of the event loop were late by up to each of SECONDS, and later."""


class ProcessCounts(BaseModel):
    """A process, its memory in bytes, and what it has counted."""

    number: int
    pid: int
    state: ProcessState
    is_complete: bool
    """Whether it counts everything yet."""
    memory: int | None
    counts: Counts


class Pool(BaseModel):
    """The connections of all processes to a database."""

    in_use: int = 0
    idle: int = 0
    waiting: int = 0


class CacheCounts(BaseModel):
    """The reads of a cache model."""

    hits: int = 0
    reads: int = 0


class TimerCounts(BaseModel):
    """A timer: its next run, its last success, and how many runs succeeded and failed."""

    next: datetime | None = None
    last_success: datetime | None = None
    succeeded: int = 0
    failed: int = 0


class Slow(BaseModel):
    """A request or a statement that was slow."""

    kind: SlowKind
    moment: datetime
    seconds: float
    subject: str
    text: str
    request_id: str


class Snapshot(BaseModel):
    """A service at one moment."""

    version: int = VERSION
    name: str
    pid: int
    clock: float
    """When it was taken, in seconds of a clock that is never set."""
    started: datetime
    totals: Counts
    """What all processes have counted, also those that have ended."""
    processes: list[ProcessCounts]
    pools: dict[str, Pool]
    caches: dict[str, CacheCounts]
    timers: dict[str, TimerCounts]
    slow: list[Slow]
    """The slowest of the last minute, of each kind."""

    @property
    def is_complete(self) -> bool:
        """Whether the processes that serve count everything yet."""
        return all(process.is_complete for process in self.processes if process.state == "serving")


class RecentSlow:
    """The slow events of the last minute, at most MAX_SLOW."""

    def __init__(self) -> None:
        self._events: deque[SlowEvent] = deque(maxlen=MAX_SLOW)

    def add(self, event: SlowEvent) -> None:
        """Keep an event."""
        self._events.append(event)

    def slowest(self, kind: SlowKind) -> list[SlowEvent]:
        """The slowest ones of the last minute, the slowest first."""
        begin = time.time() - MINUTE
        recent = [event for event in self._events if event.kind == kind and event.moment >= begin]
        return sorted(recent, key=lambda event: -event.seconds)[:MAX_SHOWN]


class View:
    """Takes the snapshots of a service, in its main process.

    `processes` are those that run, and `next_runs` says when the timers run next.
    """

    def __init__(
        self,
        name: str,
        collection: Collection,
        processes: Callable[[], Sequence[Process]],
        slow: RecentSlow,
        next_runs: Callable[[], Mapping[str, datetime]] = dict,
    ) -> None:
        self.name = name
        self._collection = collection
        self._processes = processes
        self._slow = slow
        self._next_runs = next_runs
        self._started = datetime.now(UTC)

    def demand(self) -> None:
        """Somebody watches: have the processes count everything."""
        self._collection.demand()

    def snapshot(self) -> Snapshot:
        """The service now."""
        merged = self._collection.merged()
        return Snapshot(
            name=self.name,
            pid=os.getpid(),
            clock=time.monotonic(),
            started=self._started,
            totals=_counts(merged.items()),
            processes=[_process(process) for process in self._processes()],
            pools=_pools(merged),
            caches=_caches(merged),
            timers=self._timers(merged),
            slow=[_slow(event) for kind in _KINDS for event in self._slow.slowest(kind)],
        )

    def _timers(self, merged: Mapping[Series, list[float]]) -> dict[str, TimerCounts]:
        timers = {name: TimerCounts(next=moment) for name, moment in self._next_runs().items()}
        for labels, (value, *_) in _of(TIMER_SUCCESS, merged.items()):
            _row(timers, labels["timer"], TimerCounts).last_success = datetime.fromtimestamp(value, UTC)
        for labels, (value, *_) in _of(TIMER_RUNS, merged.items()):
            timer = _row(timers, labels["timer"], TimerCounts)
            if labels["outcome"] == "succeeded":
                timer.succeeded += int(value)
            else:
                timer.failed += int(value)
        return timers


_KINDS: tuple[SlowKind, ...] = ("request", "statement")


def _process(process: Process) -> ProcessCounts:
    return ProcessCounts(
        number=process.number,
        pid=process.pid,
        state=process.state,
        is_complete=process.values.is_complete,
        memory=resident_memory(process.pid),
        counts=_counts(list(process.values.read())),
    )


def _counts(read: Iterable[tuple[Series, list[float]]]) -> Counts:
    counts = Counts(seconds=[0.0] * (len(SECONDS) + 1), lag=[0.0] * (len(SECONDS) + 1))
    for series, values in read:
        if series.name == REQUESTS:
            counts.requests += int(values[0])
            if dict(series.labels)["status"] >= "500":
                counts.errors += int(values[0])
        elif series.name == DURATION:
            counts.seconds = [one + other for one, other in zip(counts.seconds, values[:-1], strict=True)]
        elif series.name == LAG:
            counts.lag = [one + other for one, other in zip(counts.lag, values[:-1], strict=True)]
    return counts


def _pools(merged: Mapping[Series, list[float]]) -> dict[str, Pool]:
    pools: dict[str, Pool] = {}
    for labels, (value, *_) in _of(CONNECTIONS, merged.items()):
        pool = _row(pools, labels["database"], Pool)
        if labels["state"] == "in_use":
            pool.in_use = int(value)
        else:
            pool.idle = int(value)
    for labels, (value, *_) in _of(WAITING, merged.items()):
        _row(pools, labels["database"], Pool).waiting = int(value)
    return pools


def _caches(merged: Mapping[Series, list[float]]) -> dict[str, CacheCounts]:
    caches: dict[str, CacheCounts] = {}
    for labels, (value, *_) in _of(CACHE_READS, merged.items()):
        cache = _row(caches, labels["model"], CacheCounts)
        cache.hits += int(value) if labels["outcome"] in HITS else 0
        cache.reads += int(value) if labels["outcome"] in READS else 0
    return caches


def _of(name: str, read: Iterable[tuple[Series, list[float]]]) -> Iterable[tuple[dict[str, str], list[float]]]:
    return [(dict(series.labels), values) for series, values in read if series.name == name]


def _row(rows: dict[str, Row], name: str, new: type[Row]) -> Row:
    """The row of that name; beyond MAX_ROWS, one that nobody sees."""
    return rows.setdefault(name, new()) if name in rows or len(rows) < MAX_ROWS else new()


def _slow(event: SlowEvent) -> Slow:
    return Slow(**event._asdict() | {"moment": datetime.fromtimestamp(event.moment, UTC)})
