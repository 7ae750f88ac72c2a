"""The figures of an interval: the differences between two readings of a service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sanicbase.metrics.instruments import SECONDS
from sanicbase.top.client import Reading
from sanicbase.top.snapshot import CacheCounts, Counts, ProcessCounts, Slow, Snapshot

__all__ = [
    "AppFigures",
    "CacheFigures",
    "Figures",
    "PoolFigures",
    "SlowRequest",
    "SlowStatement",
    "TimerFigures",
    "WorkerFigures",
    "figures",
    "percentile",
]


@dataclass(frozen=True, kw_only=True)
class RequestFigures:
    """The requests that were answered in the interval. Times are in seconds, None without any request."""

    requests: int | None = None
    requests_per_second: float | None = None
    p50: float | None = None
    p99: float | None = None
    errors: int | None = None


@dataclass(frozen=True, kw_only=True)
class AppFigures(RequestFigures):
    """A main process with all its workers, also those that have ended in the interval."""

    name: str
    pid: int
    started: datetime


@dataclass(frozen=True, kw_only=True)
class WorkerFigures(RequestFigures):
    """A worker. `lag` is the 99th percentile of how late its event loop was, in seconds; `memory` is in bytes."""

    app: str
    parent: int
    """The pid of its main process."""
    number: int
    pid: int
    state: str
    lag: float | None
    memory: int | None


@dataclass(frozen=True)
class PoolFigures:
    """The connections of an app to a database."""

    app: str
    database: str
    in_use: int
    idle: int
    waiting: int


@dataclass(frozen=True)
class CacheFigures:
    """The reads of a cache model in the interval, and the share of those that it answered; None without reads."""

    app: str
    model: str
    reads: int
    hit_share: float | None


@dataclass(frozen=True)
class TimerFigures:
    """A timer. The runs are those since the start of its process."""

    app: str
    timer: str
    next: datetime | None
    last_success: datetime | None
    succeeded: int
    failed: int


@dataclass(frozen=True)
class SlowRequest:
    """A request of the last minute."""

    app: str
    moment: datetime
    seconds: float
    method: str
    status: int
    path: str
    request_id: str


@dataclass(frozen=True)
class SlowStatement:
    """A statement of the last minute, without its values."""

    app: str
    moment: datetime
    seconds: float
    database: str
    statement: str
    request_id: str


@dataclass(frozen=True)
class Figures:
    """A service in the last interval of that many seconds."""

    service: str
    moment: datetime
    seconds: float
    apps: list[AppFigures] = field(default_factory=list)
    workers: list[WorkerFigures] = field(default_factory=list)
    databases: list[PoolFigures] = field(default_factory=list)
    caches: list[CacheFigures] = field(default_factory=list)
    timers: list[TimerFigures] = field(default_factory=list)
    slow_requests: list[SlowRequest] = field(default_factory=list)
    slow_statements: list[SlowStatement] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def figures(service: str, before: Reading | None, now: Reading) -> Figures:
    """The figures between two readings. An app that was not read before has no figures of an interval yet."""
    earlier = {} if before is None else {_identity(snapshot): snapshot for snapshot in before.snapshots}
    shown = Figures(service, datetime.now(UTC), _interval(earlier, now), problems=now.problems)
    for snapshot in now.snapshots:
        _add(shown, earlier.get(_identity(snapshot)), snapshot)
    shown.slow_requests.sort(key=lambda slow: -slow.seconds)
    shown.slow_statements.sort(key=lambda slow: -slow.seconds)
    return shown


def percentile(counts: Sequence[float], share: float) -> float | None:
    """The value below which that share of the observations is, interpolated in its bucket; None without any."""
    rank = share * sum(counts)
    if not rank:
        return None
    lower = below = 0.0
    for bound, count in zip(SECONDS, counts, strict=False):
        if below + count >= rank:
            return round(lower + (bound - lower) * (rank - below) / count, 6)
        lower, below = bound, below + count
    return SECONDS[-1]


def _identity(snapshot: Snapshot) -> tuple[str, int, datetime]:
    return snapshot.name, snapshot.pid, snapshot.started


def _interval(earlier: dict[tuple[str, int, datetime], Snapshot], now: Reading) -> float:
    times = [
        snapshot.clock - before.clock
        for snapshot in now.snapshots
        if (before := earlier.get(_identity(snapshot))) is not None
    ]
    return round(max(times, default=0.0), 3)


def _add(shown: Figures, before: Snapshot | None, now: Snapshot) -> None:
    """Add the figures of one app."""
    app, seconds = now.name, 0.0 if before is None else now.clock - before.clock
    totals = None if before is None else before.totals
    figures = _requests(totals, now.totals, seconds if before is not None and before.is_complete else 0.0)
    shown.apps.append(AppFigures(name=app, pid=now.pid, started=now.started, **figures))
    workers = {} if before is None else {worker.pid: worker for worker in before.processes}
    shown.workers.extend(_worker(now, workers.get(worker.pid), worker, seconds) for worker in now.processes)
    shown.databases.extend(
        PoolFigures(app, name, pool.in_use, pool.idle, pool.waiting) for name, pool in sorted(now.pools.items())
    )
    caches = {} if before is None else before.caches
    shown.caches.extend(_cache(app, name, caches.get(name), cache) for name, cache in sorted(now.caches.items()))
    shown.timers.extend(
        TimerFigures(app, name, timer.next, timer.last_success, timer.succeeded, timer.failed)
        for name, timer in sorted(now.timers.items())
    )
    shown.slow_requests.extend(_slow_requests(app, now.slow))
    shown.slow_statements.extend(
        SlowStatement(app, slow.moment, slow.seconds, slow.subject, slow.text, slow.request_id)
        for slow in now.slow
        if slow.kind == "statement"
    )


def _requests(before: Counts | None, now: Counts, seconds: float) -> dict[str, Any]:
    """The arguments of RequestFigures. A process that is new has counted nothing before."""
    if not seconds:
        return {}
    before = before or Counts()
    requests = now.requests - before.requests
    took = _differences(before.seconds, now.seconds)
    return {
        "requests": requests,
        "requests_per_second": round(requests / seconds, 3),
        "p50": percentile(took, 0.5),
        "p99": percentile(took, 0.99),
        "errors": now.errors - before.errors,
    }


def _worker(app: Snapshot, before: ProcessCounts | None, now: ProcessCounts, seconds: float) -> WorkerFigures:
    counts = Counts() if before is None else before.counts
    is_complete = now.is_complete if before is None else before.is_complete
    figures = _requests(counts, now.counts, seconds if is_complete else 0.0)
    return WorkerFigures(
        app=app.name,
        parent=app.pid,
        number=now.number,
        pid=now.pid,
        state=now.state,
        lag=percentile(_differences(counts.lag, now.counts.lag), 0.99),
        memory=now.memory,
        **figures,
    )


def _cache(app: str, model: str, before: CacheCounts | None, now: CacheCounts) -> CacheFigures:
    hits, reads = now.hits - (before.hits if before else 0), now.reads - (before.reads if before else 0)
    return CacheFigures(app, model, reads, round(hits / reads, 4) if reads > 0 else None)


def _differences(before: Sequence[float], now: Sequence[float]) -> list[float]:
    if not before:
        return list(now)
    return [max(0.0, after - earlier) for earlier, after in zip(before, now, strict=True)]


def _slow_requests(app: str, events: Sequence[Slow]) -> Iterator[SlowRequest]:
    for slow in events:
        if slow.kind == "request":
            method, _, status = slow.subject.rpartition(" ")
            yield SlowRequest(app, slow.moment, slow.seconds, method, int(status), slow.text, slow.request_id)
