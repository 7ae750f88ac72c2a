"""Schedules: pure functions of a point in time, so that every copy of a service computes the same ticks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from sanicbase.i18n import gettext as _

__all__ = ["Cron", "Every", "Schedule", "latest", "longest_pause"]

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

    `every=3600` ticks on the hour in UTC, and a period of a day at midnight UTC, regardless of daylight saving time.
    Raises ValueError for a period under 100 milliseconds, over 366 days, or with a fraction of a millisecond.
    """

    period: timedelta

    def __post_init__(self) -> None:
        if not MIN_PERIOD <= self.period <= MAX_PERIOD:
            raise ValueError(_("`every` must be between 0.1 seconds and 366 days"))
        if self.period % MILLISECOND:
            raise ValueError(_("`every` must be a whole number of milliseconds"))

    def after(self, moment: datetime) -> datetime:
        """The first tick later than an aware `moment`, in UTC."""
        return EPOCH + ((moment - EPOCH) // self.period + 1) * self.period


@dataclass(frozen=True)
class Cron:
    """The ticks of a crontab line in a time zone, with the rules of Debian's cron for changes of daylight saving time:

    - a line with a fixed minute and hour (`30 2 * * *`) ticks once on each day that it names: if that time is skipped,
      at the first minute after the gap; if it occurs twice, only the first time;
    - a line whose minute or hour starts with a star (`*/10 * * * *`) follows real time: no tick in the gap, and ticks
      in both of the repeated hours. This also applies to a line of six fields, which starts with the seconds.

    If day of month or day of week starts with a star, both must match; otherwise one is sufficient. Raises ValueError
    for an invalid line and for one that never ticks.
    """

    line: str
    zone: ZoneInfo

    def __post_init__(self) -> None:
        try:
            next(CronSim(self.line, EPOCH))
        except CronSimError as exc:
            reason = str(exc).lower()
            raise ValueError(
                _("`cron={line!r}` is not a valid crontab line: {reason}", line=self.line, reason=reason)
            ) from exc
        except StopIteration:
            raise ValueError(_("`cron={line!r}` never matches a date", line=self.line)) from None

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


def longest_pause(schedule: Schedule, moment: datetime) -> timedelta:
    """The longest time between two of the first 500 ticks after an aware `moment`: of a crontab line for working hours,
    that is the weekend."""
    if isinstance(schedule, Every):
        return schedule.period
    ticks = [moment]
    while len(ticks) <= 500:
        ticks.append(schedule.after(ticks[-1]))
    return max(later - earlier for earlier, later in pairwise(ticks[1:]))
