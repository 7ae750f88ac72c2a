"""Timer: a plain async function and when it runs, as data."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sanicbase.errors import ConfigError, NotOpenError
from sanicbase.i18n import gettext as _
from sanicbase.jobs.schedule import Cron, Every, Schedule

__all__ = ["Tick", "Timer", "check_timers", "current_tick", "set_current_tick"]

POLICIES = {"overlap": ("skip", "allow"), "misfire": ("skip", "once")}


@dataclass(frozen=True)
class Timer:
    """A function that runs at the ticks of a schedule, each tick at most once however many copies of the service run.

        scripts = (
            Timer(refresh_ranking, every=60),
            Timer(purge_records, cron="30 3 * * *", tz="Asia/Shanghai", timeout=600),
        )

    A tick is claimed first and run afterwards: when the copy is killed in between, the tick is lost, never repeated.
    Raises ConfigError for invalid options.
    """

    function: Callable[[], Coroutine[object, object, object]]
    """A plain async function without arguments, which runs while databases and Redis are open."""
    _: KW_ONLY
    every: float | timedelta | None = None
    """The period, in seconds or as a timedelta, counted from 1970-01-01 00:00 UTC; 0.1 seconds at least."""
    cron: str | None = None
    """A crontab line, instead of `every`; with six fields the first one is the seconds."""
    tz: str | None = None
    """The time zone of the crontab line; the service's TIME_ZONE by default."""
    name: str = ""
    """Its name in logs and in Redis; the function's module and name by default. Must be unique."""
    timeout: float | None = None
    """Seconds after which a run is cancelled; by default a run has no limit."""
    overlap: Literal["skip", "allow"] = "skip"
    """While a run is in progress in any copy, `skip` starts no other: the next tick waits for `grace` at most."""
    misfire: Literal["skip", "once"] = "skip"
    """For ticks that no copy could start within `grace`: `skip` drops them, `once` runs the last of them."""
    grace: float = 10.0
    """How late a tick may start, in seconds; at least 1. Claims that are late by less run in order, none left out."""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", _full_name(self.function))
        try:
            self._check()
            self.schedule("UTC")
        except ValueError as exc:
            raise ConfigError(_("The timer {name}: {reason}.", name=self.name, reason=exc)) from exc

    def schedule(self, time_zone: str) -> Schedule:
        """Its schedule; `time_zone` is the service's, for a crontab line without `tz`."""
        if self.every is not None:
            return Every(self.every if isinstance(self.every, timedelta) else _seconds(self.every))
        return Cron(self.cron or "", _zone(self.tz or time_zone))

    def _check(self) -> None:
        if not inspect.iscoroutinefunction(self.function):
            raise ValueError(_("its function is not an `async def`"))
        if not _takes_nothing(self.function):
            raise ValueError(_("its function has required arguments, but a timer passes none: give them defaults"))
        if (self.every is None) == (self.cron is None):
            raise ValueError(_("it needs either `every` or `cron`"))
        if self.tz is not None and self.cron is None:
            raise ValueError(_("`tz` belongs to `cron`; `every` is counted in UTC"))
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(_("`timeout` must be a number of seconds above 0"))
        if not self.grace >= 1:
            raise ValueError(_("`grace` must be at least 1 second"))
        for option, known in POLICIES.items():
            if getattr(self, option) not in known:
                raise ValueError(_("`{option}` must be one of {choices}", option=option, choices=", ".join(known)))


@dataclass(frozen=True)
class Tick:
    """One tick of a timer that is being run."""

    timer: str
    """The timer's name."""
    moment: datetime
    """When the tick was due, in UTC; the run may have started up to `grace` later, a caught-up one even later."""
    fence: int
    """A fencing token, which increases with every run of the timer. A store can refuse the results of a run older than
    the last one it has seen, in case a copy was paused and continued."""


_current: ContextVar[Tick] = ContextVar("tick")


def current_tick() -> Tick:
    """The tick of the current run. Raises NotOpenError outside a timer's run."""
    try:
        return _current.get()
    except LookupError:
        raise NotOpenError("There is no current tick: call this inside the function of a Timer.") from None


@contextmanager
def set_current_tick(tick: Tick) -> Iterator[None]:
    """Have `current_tick` return this tick inside the block."""
    token = _current.set(tick)
    try:
        yield
    finally:
        _current.reset(token)


def check_timers(timers: Sequence[Timer]) -> None:
    """Raise ConfigError when two timers have the same name, because they would take each other's ticks."""
    twice = [name for name, count in Counter(timer.name for timer in timers).items() if count > 1]
    if twice:
        names = ", ".join(twice)
        raise ConfigError(_("There are several timers named {names}: give each a unique `name=`.", names=names))


def _full_name(function: Callable[..., object]) -> str:
    parts = (getattr(function, "__module__", ""), getattr(function, "__qualname__", repr(function)))
    return ".".join(part for part in parts if part)


def _takes_nothing(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    return True


def _seconds(number: float) -> timedelta:
    try:
        return timedelta(seconds=number)
    except (OverflowError, ValueError):
        raise ValueError(_("`every` must be between 0.1 seconds and 366 days")) from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        message = _("{name!r} is not a time zone; write a name such as UTC or Asia/Shanghai", name=name)
        raise ValueError(message) from None
