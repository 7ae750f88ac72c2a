"""Schedules: pure functions of a point in time, so that every copy of a service computes the same ticks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

__all__ = ["Cron", "Every", "Schedule", "latest"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
MIN_PERIOD = timedelta(milliseconds=100)
MAX_PERIOD = timedelta(days=366)


class Schedule(Protocol):
    """The ticks of a timer, which do not depend on when a process starts."""

    def after(self, moment: datetime) -> datetime:
        """The first tick later than an aware `moment`, in UTC."""


@dataclass(frozen=True)
class Every:
    """A tick every `period`, counted from 1970-01-01 00:00 UTC, not from the start of a process.

    So `every=3600` ticks on the hour in UTC, a period of a day at midnight UTC, whatever daylight saving time does.
    Raises ValueError for a period under 100 milliseconds, over 366 days, or with a fraction of a millisecond.
    """

    period: timedelta

    def __post_init__(self) -> None:
        if not MIN_PERIOD <= self.period <= MAX_PERIOD:
            raise ValueError("`every` must be between 0.1 seconds and 366 days")
        if self.period % MILLISECOND:
            raise ValueError("`every` must be a whole number of milliseconds")

    def after(self, moment: datetime) -> datetime:
        """The first tick later than an aware `moment`, in UTC."""
        return EPOCH + ((moment - EPOCH) // self.period + 1) * self.period


@dataclass(frozen=True)
class Cron:
    """The ticks of a crontab line in a time zone, as Debian's cron has them where the clocks are changed:

    - a line with a fixed minute and hour (`30 2 * * *`) ticks once on every day it names: where that time is skipped
      it ticks at the first minute after the gap, where it comes twice it ticks the first time only;
    - a line whose minute or hour begins with a star (`*/10 * * * *`) follows real time: nothing in the gap, and both
      of the hours that look alike. A line of six fields, which begins with the seconds, does so, too.

    Day of month and day of week: both must match when one of them begins with a star, else one is enough. Raises
    ValueError for an invalid line and for one that never ticks.
    """

    line: str
    zone: ZoneInfo

    def __post_init__(self) -> None:
        try:
            next(CronSim(self.line, EPOCH))
        except CronSimError as exc:
            raise ValueError(f"`cron={self.line!r}` is not a valid crontab line: {str(exc).lower()}") from exc
        except StopIteration:
            raise ValueError(f"`cron={self.line!r}` never matches a date") from None

    def after(self, moment: datetime) -> datetime:
        """The first tick later than an aware `moment`, in UTC."""
        fields = self.line.split()
        fixed = len(fields) == 5 and not any(field.startswith("*") for field in fields[:2])
        return self._once_a_day(moment) if fixed else self._in_real_time(moment)

    def _once_a_day(self, moment: datetime) -> datetime:
        # In the second of two equal hours cronsim starts again with the first: skip the ticks that are past.
        ticks = (tick.astimezone(UTC) for tick in CronSim(self.line, moment.astimezone(self.zone)))
        return next(tick for tick in ticks if tick > moment)

    def _in_real_time(self, moment: datetime) -> datetime:
        """Between two clock changes local time is plain arithmetic. cronsim itself crosses them in whole hours, and
        misses ticks when they change by half an hour or at midnight."""
        since = moment.astimezone(UTC).replace(microsecond=0)
        offset = self._offset(since)
        local = since + offset
        while True:
            tick = next(CronSim(self.line, local)) - offset
            change = self._first_change(since, tick)
            if change is None:
                return tick
            since, offset = change, self._offset(change)
            local = change + offset - SECOND

    def _first_change(self, since: datetime, until: datetime) -> datetime | None:
        """The first clock change after `since`, up to and including `until`."""
        while since < until:
            day = min(since + DAY, until)
            if self._offset(day) != self._offset(since):
                return self._bisect(since, day)
            since = day
        return None

    def _bisect(self, before: datetime, after: datetime) -> datetime:
        while after - before > SECOND:
            middle = before + (after - before) // SECOND // 2 * SECOND
            if self._offset(middle) == self._offset(before):
                before = middle
            else:
                after = middle
        return after

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self.zone).utcoffset() or timedelta()


def latest(schedule: Schedule, moment: datetime) -> datetime:
    """The last tick that is not later than an aware `moment`. There must be one since 1970."""
    back = SECOND
    while schedule.after(max(EPOCH, moment - back)) > moment:
        back *= 2
    before, later = max(EPOCH, moment - back), moment
    while later - before > MILLISECOND:
        middle = before + (later - before) / 2
        if schedule.after(middle) > moment:
            later = middle
        else:
            before = middle
    return schedule.after(before)
