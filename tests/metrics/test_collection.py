"""The values of several processes are merged exactly, whatever ends a process."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from sanicbase.metrics import Counter, Gauge, Histogram
from sanicbase.metrics.collection import Collection
from sanicbase.metrics.instruments import MAX_SERIES, count_into
from sanicbase.metrics.shared_values import SPILL, Series, SharedValues

EVENTS = Counter("test_events_total", "Events.", ["kind"])
OPEN = Gauge("test_open", "Open things.")
WAITING = Gauge("test_waiting", "Things that each process sees.", takes_maximum=True)
LATEST = Gauge("test_latest", "The latest time.", keeps_maximum=True)
SIZE = Histogram("test_size", "Sizes.", bounds=(1, 10))


@pytest.fixture
def collection() -> Iterator[Collection]:
    collection = Collection()
    yield collection
    collection.close()


def values(collection: Collection) -> dict[str, float]:
    """The samples, by their names with the values of their labels."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for metric in collection.collect()
        for sample in metric.samples
    }


def count(shared: SharedValues, connection: Connection[bytes, bytes]) -> None:
    """The target of a process: it counts, and is killed while it waits."""
    count_into(shared)
    EVENTS.inc("a", amount=3)
    OPEN.inc(amount=2)
    LATEST.set(7)
    SIZE.observe(5)
    connection.send_bytes(b"counted")
    signal.pause()


def test_values_of_a_killed_process_remain_and_its_gauges_end(collection: Collection) -> None:
    EVENTS.inc("a")
    LATEST.set(6)
    shared = collection.new()
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=count, args=(shared, its))
    process.start()
    assert ours.recv_bytes() == b"counted"
    alive = values(collection)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    collection.ended(shared)
    ended = values(collection)
    assert (alive["test_events_total a"], ended["test_events_total a"]) == (4, 4)
    assert (alive["test_open"], ended.get("test_open", 0)) == (2, 0)
    assert (alive["test_latest"], ended["test_latest"]) == (7, 7)
    assert ended["test_size_bucket 1"] == 0
    assert (ended["test_size_bucket 10"], ended["test_size_bucket +Inf"], ended["test_size_count"]) == (1, 1, 1)
    assert ended["test_size_sum"] == 5


def test_gauges_of_one_fact_report_the_largest_value_of_running_processes(collection: Collection) -> None:
    WAITING.set(2)
    other = collection.new()
    count_into(other)
    WAITING.set(5)
    assert values(collection)["test_waiting"] == 5
    collection.ended(other)
    assert values(collection)["test_waiting"] == 2


def test_a_process_that_ended_is_counted_once(collection: Collection) -> None:
    shared = collection.new()
    count_into(shared)
    EVENTS.inc("a")
    collection.ended(shared)
    collection.ended(shared)
    assert values(collection)["test_events_total a"] == 1


def test_bound_labels_count_in_the_same_series(collection: Collection) -> None:
    EVENTS.bind("a")()
    EVENTS.inc("a")
    add, observe = OPEN.bind(), SIZE.bind()
    add(3)
    add(-1)
    observe(10)
    observe(11)
    counted = values(collection)
    assert (counted["test_events_total a"], counted["test_open"]) == (2, 2)
    assert (counted["test_size_bucket 10"], counted["test_size_count"], counted["test_size_sum"]) == (1, 2, 21)


def test_labels_from_outside_are_bounded(collection: Collection) -> None:
    for number in range(MAX_SERIES + 1000):
        EVENTS.inc(str(number))
    counted = {name: value for name, value in values(collection).items() if name.startswith("test_events")}
    assert len(counted) == MAX_SERIES + 1
    assert counted["test_events_total (other)"] == 1000


def test_exhausted_memory_drops_new_series_only(caplog: pytest.LogCaptureFixture) -> None:
    shared = SharedValues()
    wide = [Series(f"wide_{number}", "histogram", "", (), tuple(range(60))) for number in range(SPILL // 62 + 3)]
    starts = [shared.add(series) for series in wide]
    for start in starts:
        shared.values[start] += 1
    read = dict(shared.read())
    assert len(read) == SPILL // 62
    assert all(kept[0] == 1 for kept in read.values())
    assert starts[-3:] == [SPILL] * 3
    assert caplog.text.count("too many series") == 1
    shared.close()


def test_a_process_without_metrics_counts_nothing() -> None:
    count_into(None)
    EVENTS.inc("a")
    shared = SharedValues()
    count_into(shared)
    assert list(shared.read()) == []
    count_into(None)
    shared.close()


@pytest.mark.parametrize("name", ["Orders_total", "orders-total", "", "orders_total\n"])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Counter(name, "Orders.")


def test_labels_that_do_not_fit_are_refused(collection: Collection) -> None:
    with pytest.raises(ValueError, match=r"has the labels \('kind',\)"):
        EVENTS.inc()
