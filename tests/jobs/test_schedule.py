"""When timers tick: the same times for every caller, whenever it asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanicbase.jobs.schedule import EPOCH, Cron, Every, Schedule, latest, longest_pause

ZONES = [
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Beirut",
    "Australia/Lord_Howe",
]
# Around them the clocks of one of the zones are changed, at midnight or by half an hour in some.
CHANGES = [
    datetime(2023, 3, 26, 1, tzinfo=UTC),
    datetime(2023, 10, 29, 1, tzinfo=UTC),
    datetime(2023, 3, 12, 5, tzinfo=UTC),
    datetime(2023, 11, 5, 5, tzinfo=UTC),
    datetime(2023, 4, 27, 22, tzinfo=UTC),
    datetime(2023, 3, 25, 22, tzinfo=UTC),
    datetime(2023, 4, 1, 15, tzinfo=UTC),
    datetime(2023, 9, 30, 15, 30, tzinfo=UTC),
]


def field(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high)
    spans = st.tuples(numbers, numbers).map(lambda pair: f"{min(pair)}-{max(pair)}")
    lists = st.lists(numbers, min_size=1, max_size=3).map(lambda values: ",".join(map(str, values)))
    return st.one_of(st.just("*"), st.integers(2, 30).map("*/{}".format), spans, lists)


near_changes = st.builds(
    lambda change, seconds: change + timedelta(seconds=seconds), st.sampled_from(CHANGES), st.floats(-100_000, 100_000)
)
moments = st.one_of(
    near_changes,
    st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
lines = st.tuples(field(0, 59), field(0, 23), st.one_of(st.just("*"), field(1, 28))).map(
    lambda fields: f"{' '.join(fields)} * *"
)
crons: st.SearchStrategy[Schedule] = st.builds(Cron, lines, st.sampled_from(ZONES).map(ZoneInfo))
everies: st.SearchStrategy[Schedule] = st.integers(100, 400_000_000).map(lambda ms: Every(timedelta(milliseconds=ms)))


@settings(deadline=None)
@given(schedule=st.one_of(crons, everies), moment=moments, part=st.floats(0, 0.999))
def test_every_copy_computes_the_same_next_tick(schedule: Schedule, moment: datetime, part: float) -> None:
    tick = schedule.after(moment)
    assert tick > moment
    assert tick.tzinfo is UTC
    later = moment + (tick - moment) * part
    if later < tick:
        assert schedule.after(later) == tick
    assert schedule.after(moment.astimezone(ZoneInfo("Asia/Tokyo"))) == tick


@settings(deadline=None)
@given(schedule=st.one_of(crons, everies), moment=moments)
def test_the_latest_tick_is_the_one_before_the_next(schedule: Schedule, moment: datetime) -> None:
    tick = schedule.after(moment)
    assert latest(schedule, tick) == tick
    assert latest(schedule, tick + timedelta(milliseconds=1)) == tick
    assert schedule.after(latest(schedule, moment)) == tick


@settings(deadline=None)
@given(milliseconds=st.integers(100, 400_000_000), moment=moments)
def test_periods_are_counted_from_the_epoch(milliseconds: int, moment: datetime) -> None:
    period = timedelta(milliseconds=milliseconds)
    tick = Every(period).after(moment)
    assert (tick - EPOCH) % period == timedelta()
    assert tick - moment <= period


@settings(deadline=None)
@given(
    minutes=field(0, 59),
    hours=st.one_of(st.just("*"), st.just("*/2")),
    zone=st.sampled_from(ZONES),
    change=near_changes,
)
def test_a_line_with_a_star_ticks_at_each_minute_that_reads_so(
    minutes: str, hours: str, zone: str, change: datetime
) -> None:
    cron = Cron(f"{minutes} {hours} * * *", ZoneInfo(zone))
    wanted = Cron(f"{minutes} {hours} * * *", ZoneInfo("UTC"))
    start = change.replace(second=0, microsecond=0)
    ticks, tick = set(), start
    while (tick := cron.after(tick)) <= start + timedelta(hours=8):
        ticks.add(tick)
    for minute in (start + timedelta(minutes=n) for n in range(1, 8 * 60 + 1)):
        reading = minute.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
        assert (minute in ticks) == (wanted.after(reading - timedelta(minutes=1)) == reading)


def ticks_of(line: str, start: datetime, count: int) -> list[str]:
    """The next ticks, as clocks in Berlin show them, with their offset."""
    berlin, cron, found = ZoneInfo("Europe/Berlin"), Cron(line, ZoneInfo("Europe/Berlin")), []
    for _ in range(count):
        start = cron.after(start)
        found.append(start.astimezone(berlin).strftime("%d %H:%M %z"))
    return found


SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)  # the night after it there is no time from 2:00 to 3:00
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)  # the night after it the time from 2:00 to 3:00 comes twice


@pytest.mark.parametrize(
    ("line", "start", "expected"),
    [
        ("30 2 * * *", SPRING, ["29 03:00 +0200", "30 02:30 +0200"]),
        ("0,30 2 * * *", SPRING, ["29 03:00 +0200", "30 02:00 +0200"]),
        ("30 2 * * *", AUTUMN, ["25 02:30 +0200", "26 02:30 +0100"]),
        ("30 3 * * *", SPRING, ["29 03:30 +0200", "30 03:30 +0200"]),
        ("*/30 2 * * *", SPRING, ["30 02:00 +0200", "30 02:30 +0200"]),
        ("*/30 2 * * *", AUTUMN, ["25 02:00 +0200", "25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100"]),
        ("0 */2 * * *", AUTUMN + timedelta(hours=11), ["25 02:00 +0200", "25 02:00 +0100", "25 04:00 +0100"]),
        ("15 30 2 * * *", SPRING, ["30 02:30 +0200"]),
    ],
)
def test_ticks_at_daylight_saving_changes(line: str, start: datetime, expected: list[str]) -> None:
    assert ticks_of(line, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "is not a valid crontab line: wrong number of fields"),
        ("* * * *", "is not a valid crontab line: wrong number of fields"),
        ("61 * * * *", "is not a valid crontab line: bad minute"),
        ("* * * * MOON", "is not a valid crontab line: bad day-of-week"),
        ("0 0 31 2 *", "is not a valid crontab line: bad day-of-month"),
        ("@daily", "is not a valid crontab line: wrong number of fields"),
    ],
)
def test_a_wrong_line_is_an_error_message(line: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Cron(line, ZoneInfo("UTC"))


@pytest.mark.parametrize("seconds", [0, -1, 0.0001, 0.05, 0.1005, 367 * 86400])
def test_a_wrong_period_is_an_error_message(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"`every` must be (between|a whole number)"):
        Every(timedelta(seconds=seconds))


@pytest.mark.parametrize(("schedule", "longest"), [
    (Every(timedelta(seconds=90)), timedelta(seconds=90)),
    (Cron("0 3 * * *", ZoneInfo("UTC")), timedelta(days=1)),
    (Cron("*/5 9-17 * * 1-5", ZoneInfo("UTC")), timedelta(days=2, hours=15, minutes=5)),
])  # fmt: skip
def test_the_longest_pause_of_a_schedule(schedule: Schedule, longest: timedelta) -> None:
    assert longest_pause(schedule, datetime(2026, 1, 1, tzinfo=UTC)) == longest
