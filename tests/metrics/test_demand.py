"""What counts on demand starts and stops with it, and values stay where they are."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest

from sanicbase.metrics import Counter
from sanicbase.metrics.collection import Collection
from sanicbase.metrics.demand import follow_demand, on_demand
from sanicbase.metrics.instruments import count_into, is_counting
from sanicbase.metrics.shared_values import SharedValues

EVENTS = Counter("test_demanded_total", "Events.")


@pytest.fixture
def shared() -> Iterator[SharedValues]:
    """The values of a process that counts nothing yet."""
    count_into(None)
    shared = SharedValues()
    yield shared
    shared.demanded_until = 0.0
    follow_demand(shared)
    count_into(None)
    shared.close()


def total(shared: SharedValues) -> float:
    return sum(values[0] for series, values in shared.read() if series.name == EVENTS.name)


def test_the_demand_starts_and_stops_what_counts(shared: SharedValues) -> None:
    calls: list[str] = []

    def started() -> None:
        calls.append("started")

    def stopped() -> None:
        calls.append("stopped")

    with on_demand(started, stopped):
        assert not follow_demand(shared)
        EVENTS.inc()
        shared.demanded_until = math.inf
        assert follow_demand(shared)
        assert follow_demand(shared)
        assert (calls, shared.is_complete, is_counting()) == (["started"], True, False)
        EVENTS.inc()
        shared.demanded_until = time.monotonic() - 1
        assert not follow_demand(shared)
        assert (calls, shared.is_complete) == (["started", "stopped"], False)
        shared.demanded_until = math.inf
        follow_demand(shared)
        EVENTS.inc()
        with on_demand(started, stopped):  # opened while it is demanded
            assert calls == ["started", "stopped", "started", "started"]
    assert calls[4:] == ["stopped", "stopped"]
    assert total(shared) == 2  # not the one before


def test_a_process_counts_for_a_while_after_somebody_has_asked() -> None:
    collection = Collection(always=False)
    before = collection.new()
    assert before.demanded_until == 0
    collection.demand()
    after = collection.new()
    assert before.is_demanded
    assert after.demanded_until == before.demanded_until < time.monotonic() + 100
    collection.close()
    always = Collection()
    always.demand()
    assert always.new().is_demanded_always
    always.close()
