"""Percentiles of histograms."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase.metrics.instruments import SECONDS
from sanicbase.top.figures import percentile


def counts(values: list[float]) -> list[float]:
    """The buckets of these observations."""
    buckets = [0.0] * (len(SECONDS) + 1)
    for value in values:
        buckets[bisect_left(SECONDS, value)] += 1
    return buckets


def test_without_observations_there_is_none() -> None:
    assert percentile(counts([]), 0.5) is None


def test_a_value_beyond_the_last_bucket_is_at_least_its_bound() -> None:
    assert percentile(counts([60.0]), 0.5) == SECONDS[-1]


def test_half_of_the_observations_are_below_the_median() -> None:
    assert percentile(counts([0.002] * 50 + [0.2] * 50), 0.5) == pytest.approx(0.0025)
    assert percentile(counts([0.002] * 99 + [3.0]), 0.99) == pytest.approx(0.0025)
    assert percentile(counts([0.03] * 10), 0.5) == pytest.approx(0.0375)  # the middle of 0.025 to 0.05


@given(st.lists(st.floats(0, 10), min_size=1), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_percentile_is_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    found = percentile(counts(values), share)
    true = sorted(values)[-(-len(values) * round(share * 100) // 100) - 1]
    bucket = bisect_left(SECONDS, true)
    assert found is not None
    assert (SECONDS[bucket - 1] if bucket else 0.0) <= found <= SECONDS[min(bucket, len(SECONDS) - 1)]
