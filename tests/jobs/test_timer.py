"""Timers as data: what is refused, and in which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from sanicbase import ConfigError, NotOpenError
from sanicbase.jobs.timer import Tick, Timer, check_timers, current_tick, set_current_tick


async def refresh() -> None: ...


async def report(day: int) -> None: ...


async def repeat(times: int = 3) -> None: ...


def blocking() -> None: ...


def test_a_timer_is_named_after_its_function() -> None:
    name = Timer(refresh, every=60).name
    assert name.endswith("jobs.test_timer.refresh")
    assert Timer(refresh, every=60, name="ranking").name == "ranking"
    assert Timer(repeat, every=60).timeout is None


def test_seconds_and_timedelta_say_the_same() -> None:
    now = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    for every in (90, 90.0, timedelta(seconds=90)):
        assert Timer(refresh, every=every).schedule("UTC").after(now) == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)


def test_a_crontab_line_is_read_in_its_own_zone_or_in_the_service_s() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert Timer(refresh, cron="0 3 * * *").schedule("UTC").after(now).hour == 3
    assert Timer(refresh, cron="0 3 * * *").schedule("Asia/Shanghai").after(now).hour == 19
    assert Timer(refresh, cron="0 3 * * *", tz="Asia/Tokyo").schedule("UTC").after(now).hour == 18


@pytest.mark.parametrize(
    ("function", "options", "sentence"),
    [
        (refresh, {}, "it needs either `every` or `cron`"),
        (refresh, {"every": 1, "cron": "* * * * *"}, "it needs either `every` or `cron`"),
        (refresh, {"every": 0}, "`every` must be between 0.1 seconds and 366 days"),
        (refresh, {"every": float("nan")}, "`every` must be between"),
        (refresh, {"every": 1e300}, "`every` must be between"),
        (refresh, {"every": 1, "tz": "UTC"}, "`tz` belongs to `cron`"),
        (refresh, {"cron": "61 * * * *"}, "not a valid crontab line: bad minute"),
        (refresh, {"cron": "0 0 30 2 *"}, "not a valid crontab line: bad day-of-month"),
        (refresh, {"cron": "0 0 * 2 MON#5", "tz": "Mars/Base"}, "'Mars/Base' is not a time zone"),
        (refresh, {"every": 1, "timeout": 0}, "`timeout` must be a number of seconds above 0"),
        (refresh, {"every": 1, "grace": 0.5}, "`grace` must be at least 1 second"),
        (refresh, {"every": 1, "overlap": "wait"}, "`overlap` must be one of skip, allow"),
        (refresh, {"every": 1, "misfire": "all"}, "`misfire` must be one of skip, once"),
        (blocking, {"every": 1}, "not an `async def`"),
        (report, {"every": 1}, "has required arguments"),
    ],
)
def test_an_invalid_timer_is_an_error_message(function: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=rf"The timer \S+{function.__name__}: .*{sentence}.*\.$"):
        Timer(function, **options)


def test_arguments_may_be_bound_beforehand() -> None:
    assert Timer(partial(report, 7), every=1, name="report 7").name == "report 7"


def test_two_timers_of_one_name_are_refused() -> None:
    check_timers([Timer(refresh, every=1), Timer(refresh, every=60, name="hourly")])
    with pytest.raises(ConfigError, match=r"several timers named \S+refresh: give each a unique `name=`"):
        check_timers([Timer(refresh, every=1), Timer(refresh, every=60)])


def test_the_tick_is_known_inside_a_run_only() -> None:
    tick = Tick("refresh", datetime(2026, 1, 1, tzinfo=UTC), 7)
    with set_current_tick(tick):
        assert current_tick() is tick
    with pytest.raises(NotOpenError, match="inside the function of a Timer"):
        current_tick()
