"""Under three times the load that a service can bear, it answers as many in time as before."""

from __future__ import annotations

import pytest

from benchmarks.overload import measure

SECONDS = 12.0


@pytest.mark.long
@pytest.mark.parametrize("view", ["cpu", "db"])
def test_an_overloaded_service_keeps_its_throughput_and_its_health_check(view: str, postgres_url: str) -> None:
    peak, result = measure(view, limited=True, db_url=postgres_url, seconds=SECONDS)
    assert result.good > 0.7 * peak
    assert result.livez < 1
    assert result.failed == 0
    assert result.statuses[503] > 0


@pytest.mark.long
@pytest.mark.parametrize("view", ["cpu", "db"])
def test_without_the_limit_it_answers_nearly_all_of_them_too_late(view: str, postgres_url: str) -> None:
    peak, result = measure(view, limited=False, db_url=postgres_url, seconds=SECONDS)
    assert result.good < 0.7 * peak
