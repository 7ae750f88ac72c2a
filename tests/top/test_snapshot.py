"""A snapshot has what the processes of a service have counted, under the names that they count by."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sanicbase.cache.model_cache import READS
from sanicbase.db.engine.pooled import CONNECTIONS, WAITING
from sanicbase.http.request_metrics import DURATION, REQUESTS
from sanicbase.jobs.executor import TIMER_RUNS, TIMER_SUCCESS
from sanicbase.metrics.collection import Collection
from sanicbase.metrics.instruments import SECONDS, count_into
from sanicbase.metrics.sampling import LAG
from sanicbase.metrics.shared_values import SharedValues
from sanicbase.top.client import Reading
from sanicbase.top.figures import figures
from sanicbase.top.snapshot import Process, RecentSlow, Snapshot, TimerCounts, View

NEXT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.fixture
def collection() -> Iterator[Collection]:
    collection = Collection(always=False)
    yield collection
    collection.close()


def worker(collection: Collection, *, hits: int) -> SharedValues:
    """The values of a worker that has counted."""
    values = collection.new()
    values.is_complete = True
    count_into(values)
    for status in ("200", "404", "500", "503"):
        REQUESTS.inc("/things", "GET", status)
        DURATION.observe(0.02, "/things", "GET")
    CONNECTIONS.set(2, "default", "in_use")
    CONNECTIONS.set(3, "default", "idle")
    WAITING.set(1, "default")
    READS.inc("ThingRC", "hits", amount=hits)
    READS.inc("ThingRC", "local_hits", amount=2)
    READS.inc("ThingRC", "misses")
    READS.inc("ThingRC", "stores", amount=50)
    TIMER_RUNS.inc("tidy", "succeeded")
    TIMER_RUNS.inc("tidy", "failed")
    TIMER_SUCCESS.set(1000.0 + hits, "tidy")
    LAG.observe(0.3)
    return values


def test_values_of_all_processes_are_merged(collection: Collection) -> None:
    one, other = worker(collection, hits=1), worker(collection, hits=4)
    processes = [Process(0, os.getpid(), "serving", one), Process(1, os.getpid(), "draining", other)]
    view = View("shop_http", collection, lambda: processes, RecentSlow(), lambda: {"tidy": NEXT, "rare": NEXT})
    taken = view.snapshot()
    assert Snapshot.model_validate_json(taken.model_dump_json()) == taken
    assert (taken.totals.requests, taken.totals.errors) == (8, 4)
    assert taken.totals.seconds[SECONDS.index(0.025)] == sum(taken.totals.seconds) == 8
    assert [process.counts.requests for process in taken.processes] == [4, 4]
    pool = taken.pools["default"]
    assert (pool.in_use, pool.idle, pool.waiting) == (4, 6, 2)
    assert (taken.caches["ThingRC"].hits, taken.caches["ThingRC"].reads) == (9, 11)
    last = datetime.fromtimestamp(1004, UTC)
    assert taken.timers["tidy"] == TimerCounts(next=NEXT, last_success=last, succeeded=2, failed=2)
    assert taken.timers["rare"] == TimerCounts(next=NEXT)
    collection.ended(other)
    processes.pop()
    assert view.snapshot().totals == taken.totals  # what a worker has counted outlives it


def test_figures_are_the_differences_of_an_interval(collection: Collection) -> None:
    processes = [Process(0, os.getpid(), "serving", worker(collection, hits=1))]
    view = View("shop_http", collection, lambda: processes, RecentSlow())
    before = view.snapshot()
    values = worker(collection, hits=4)  # a reload
    processes[:] = [Process(0, os.getpid() + 1, "serving", values)]
    now = view.snapshot()
    now.clock = before.clock + 2
    seen = figures("shop", Reading([before], []), Reading([now], []))
    (app,), (new,), (cache,) = seen.apps, seen.workers, seen.caches
    assert (app.requests, app.requests_per_second, app.errors, app.p50) == (4, 2.0, 2, 0.0175)
    assert (new.requests, new.requests_per_second, new.lag) == (4, 2.0, 0.4975)
    assert (cache.reads, cache.hit_share) == (7, 0.8571)
    assert figures("shop", None, Reading([now], [])).apps[0].requests is None
