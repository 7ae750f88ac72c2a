"""`sanicGuider timers` on the example service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from sanicbase import Timer
from sanicbase.cli import main


async def tidy() -> None:
    """Nothing to do."""


def cli(*args: str) -> list[str]:
    result = CliRunner().invoke(main, ["timers", *args])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_each_timer_has_its_schedule_and_its_next_runs() -> None:
    head, line = cli("xi_test", "--runs", "2")
    assert head.split() == ["timer", "schedule", "next", "runs"]
    assert line.startswith("xi_test.script.purge.purge_records  30 3 * * * (Asia/Shanghai)  ")
    first, second = (datetime.fromisoformat(moment) for moment in line.split()[-2:])
    assert first > datetime.now(UTC)
    assert (first.hour, first.minute) == (19, 30)  # 3:30 in Shanghai
    assert second - first == timedelta(days=1)


def test_a_period_is_shown_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xi_test.script.scripts", (Timer(tidy, name="tidy", every=timedelta(minutes=5)),))
    _head, line = cli("xi_test", "--runs", "1")
    assert line.startswith("tidy   every 300 s  ")
