"""`job` declares a plain function that workers run; `enqueue` sends it to them."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import math
import random
import re
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from importlib import import_module
from operator import attrgetter
from typing import Any, Generic, Literal, ParamSpec, Self, overload

import orjson

from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _
from sanicbase.jobs.message import JobMessage, Labels
from sanicbase.jobs.outbox import deliver
from sanicbase.jobs.payload import Payload
from sanicbase.jobs.queues.opening import inspect_queue

__all__ = ["Backoff", "Delay", "Job", "check_jobs", "imported_function", "job"]

P = ParamSpec("P")
JobFunction = Callable[P, Coroutine[Any, Any, object]]
PlainFunction = Callable[P, object]
Delay = float | timedelta | str
"""Seconds, a timedelta, or a number with a unit: `"30s"`, `"10m"`, `"2h"`, `"7d"`."""
Backoff = Delay | Sequence[Delay]

QUEUE = re.compile(r"[a-z0-9_-]{1,40}")
TEXT_DELAY = re.compile(r"(\d{1,9})(s|m|h|d)")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_DELAY = 366 * 86400.0  # seconds
MAX_BACKOFF = 3600.0  # seconds; the maximum of a doubling pause
MAX_RETRIES = 1000


class Job(Generic[P]):
    """A function that workers run. Calling it runs it directly, like any function; `enqueue` sends it to a worker.

    `job` creates one. List it with the timers, so that workers know it: `scripts = (Timer(…), send_mail)`.
    """

    def __init__(
        self,
        function: JobFunction[P] | PlainFunction[P],
        *,
        name: str = "",
        queue: str = "default",
        retries: int = 5,
        backoff: Backoff = 1.0,
        timeout: Delay | None = None,
        unique: bool | Sequence[str] = False,
        once: bool | str = False,
        keep_result: Delay | None = None,
        process: bool = False,
    ) -> None:
        self.function: Callable[P, Any] = function
        self.process = process
        self.name = name or f"{function.__module__}.{function.__qualname__}"
        self.queue = queue
        self.retries = retries
        self.once = "default" if once is True else once or ""
        """The connection in whose database its completion is recorded, or an empty text."""
        self.__doc__ = inspect.getdoc(function)
        self.__name__ = getattr(function, "__name__", self.name)
        self.__module__ = function.__module__
        self._labels = Labels()
        try:
            self._check()
            self.timeout = None if timeout is None else _positive(timeout, "timeout")
            self.keep_result = None if keep_result is None else _positive(keep_result, "keep_result")
            self._pauses = _pauses(backoff)
            self.payload = Payload(function, self.name, keeps_result=self.keep_result is not None)
            self._unique = self._unique_names(unique)
        except (ValueError, NameError) as exc:
            raise ConfigError(_("The job {name}: {reason}.", name=self.name, reason=str(exc).rstrip("."))) from exc

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> object:
        if self.process:
            return await asyncio.to_thread(self.function, *args, **kwargs)
        result: object = await self.function(*args, **kwargs)
        return result

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Have a worker run the function with these arguments, at least once. Returns the id of the job.

        Inside `transaction()` the job is a row of the outbox: it runs if the transaction commits, and only then.
        Otherwise it is in its queue when this method returns. With `unique`, it returns the id of a job that already
        waits or runs, if there is one.

        Raises JobArgumentsInvalid for invalid arguments, ResourceError when the broker does not respond, and
        SanicBaseError when the database of the transaction has no outbox.
        """
        packed = self.payload.pack(args, kwargs)
        arguments: dict[str, Any] = orjson.loads(packed)
        labels = {"enqueued": int(time.time() * 1000), "unique": self._unique_digest(arguments)}
        message = JobMessage.model_construct(  # of values that are valid
            task_id=secrets.token_hex(16),
            task_name=self.name,
            labels=self._labels.model_copy(update=labels),
            args=[],
            kwargs=arguments,
        )
        return await deliver(self.queue, message)

    async def cancel(self, job_id: str) -> bool:
        """Cancel a job of this function: it does not start, and its run in progress is cancelled within seconds.
        Returns False if its queue does not have it, as when it has ended, or is still in the outbox.

        RabbitMQ and NATS cannot find a job, so this returns True and cancels it wherever it is, the outbox included;
        a job that has ended is not affected. Raises redis-py's errors.
        """
        return await inspect_queue(self.queue).cancel(job_id)

    @property
    def is_unique(self) -> bool:
        """Whether it was declared with `unique`."""
        return self._unique is not None

    def delayed(self, delay: Delay) -> Self:
        """The same job, delayed by that duration: `await send_mail.delayed("10m").enqueue(user_id=7)`.

        The time counts from when the job reaches its queue. Raises ValueError for more than 366 days.
        """
        return self._labelled(delay=_milliseconds(delay), due=0)

    def at(self, moment: datetime) -> Self:
        """The same job, at that time by Redis' clock. Raises ValueError for a time without a zone."""
        if moment.tzinfo is None:
            raise ValueError(f"The time {moment} has no time zone.")
        return self._labelled(delay=0, due=max(0, int(moment.timestamp() * 1000)))

    def pause(self, attempt: int) -> float:
        """The seconds to wait after a failed run; the first run has the number 1."""
        if isinstance(self._pauses, float):
            pause = min(self._pauses * 2.0 ** min(attempt - 1, 60), max(self._pauses, MAX_BACKOFF))
        else:
            pause = self._pauses[min(attempt, len(self._pauses)) - 1]
        return pause * random.uniform(0.75, 1.25)  # noqa: S311  (jobs that fail together must not return together)

    def __repr__(self) -> str:
        return f"<job {self.name}>"

    def _labelled(self, **labels: int) -> Self:
        other = copy(self)
        vars(other)["_labels"] = self._labels.model_copy(update=labels)
        return other

    def _check(self) -> None:
        is_async = inspect.iscoroutinefunction(self.function)
        if not is_async and not self.process:
            raise ValueError(_("its function is not an `async def`. If it computes for long, declare `process=True`"))
        if is_async and self.process:
            raise ValueError(_("`process` is for a plain `def`: a process has no event loop"))
        if self.process and self.once:
            raise ValueError(_("a job with `process` cannot have `once`: its process has no database"))
        if not 0 < len(self.name) <= 200:
            raise ValueError(_("its name must have 1 to 200 characters"))
        if not QUEUE.fullmatch(self.queue):
            raise ValueError(_("`queue` must have 1 to 40 lowercase letters, digits, - or _"))
        if not 0 <= self.retries <= MAX_RETRIES:
            raise ValueError(_("`retries` must be from 0 to {maximum}", maximum=MAX_RETRIES))

    def _unique_names(self, unique: bool | Sequence[str]) -> tuple[str, ...] | None:
        if isinstance(unique, bool):
            return self.payload.names if unique else None
        names = (unique,) if isinstance(unique, str) else tuple(unique)
        if unknown := sorted(set(names) - set(self.payload.names)):
            raise ValueError(_("`unique` names no parameter: {names}", names=", ".join(unknown)))
        return names

    def _unique_digest(self, arguments: Mapping[str, object]) -> str:
        if self._unique is None:
            return ""
        chosen = [self.name, {name: arguments[name] for name in self._unique}]
        return hashlib.sha256(orjson.dumps(chosen, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


@overload
def job(function: JobFunction[P], /) -> Job[P]: ...


@overload
def job(
    *,
    process: Literal[True],
    name: str = "",
    queue: str = "default",
    retries: int = 5,
    backoff: Backoff = 1.0,
    timeout: Delay | None = None,
    unique: bool | Sequence[str] = False,
    keep_result: Delay | None = None,
) -> Callable[[PlainFunction[P]], Job[P]]: ...


@overload
def job(
    *,
    name: str = "",
    queue: str = "default",
    retries: int = 5,
    backoff: Backoff = 1.0,
    timeout: Delay | None = None,
    unique: bool | Sequence[str] = False,
    once: bool | str = False,
    keep_result: Delay | None = None,
    process: Literal[False] = False,
) -> Callable[[JobFunction[P]], Job[P]]: ...


def job(function: JobFunction[P] | None = None, /, **options: Any) -> Any:
    """Make a plain async function a job:

        @job(retries=5, backoff="10s", timeout="5m", unique=["user_id"])
        async def send_mail(user_id: int) -> None: ...

        await send_mail.enqueue(user_id=7)
        await send_mail.delayed("10m").enqueue(user_id=7)

    Its parameters need annotations, and values that JSON can represent. pydantic validates them when the job is
    enqueued, and again before it runs. Raises ConfigError for invalid options. See the guide for the guarantees.

    - `name` is used in messages and logs; the module and the name of the function by default. Keep the old name when
      you rename or move the function.
    - `queue` separates jobs: a worker takes from each queue of its jobs in turn.
    - `retries` is the number of further runs after a failure. Then the job is a dead letter.
    - `backoff` is the pause before the first retry; it doubles each time, up to an hour. A list contains the pauses
      themselves.
    - `timeout` is the maximum duration of a run, which is then cancelled and has failed. By default there is none.
    - `unique` drops a job while one with the same arguments, or the same values of the named ones, waits or runs.
    - `once` runs it in a transaction on that connection (True: `default`), which also records its completion: what it
      writes there is written once, however often it runs.
    - `keep_result` keeps what it returns for that time, for `job_status`. By default the result is dropped.
    - `process` runs a plain `def` in a process of the worker's pool, for work that would block the event loop. There
      are no databases and no Redis in it. A timeout or a cancellation kills the process.
    """
    if function is None:
        return lambda function: Job(function, **options)
    return Job(function, **options)


def imported_function(module: str, name: str) -> Callable[..., Any]:
    """The function of that qualified name, or that of the job of this name. Raises ImportError and AttributeError."""
    found = attrgetter(name)(import_module(module))
    return found.function if isinstance(found, Job) else found


def check_jobs(jobs: Sequence[Job[Any]]) -> None:
    """Raise ConfigError when two jobs have the same name, because a message names one."""
    seen: dict[str, Job[Any]] = {}
    for declared in jobs:
        if seen.setdefault(declared.name, declared).function is not declared.function:
            raise ConfigError(_("There are several jobs named {name}: give each a unique `name=`.", name=declared.name))


def _milliseconds(delay: Delay) -> int:
    try:
        seconds = _seconds(delay)
    except ValueError as exc:
        raise ValueError(f"The delay {delay!r} is invalid: {exc}.") from exc
    return round(seconds * 1000)


def _seconds(delay: Delay) -> float:
    """The seconds of a duration. Raises ValueError."""
    if isinstance(delay, str):
        match = TEXT_DELAY.fullmatch(delay.strip())
        if match is None:
            raise ValueError(_("write a number with a unit, such as 30s, 10m, 2h or 7d"))
        seconds = float(match[1]) * UNITS[match[2]]
    else:
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    if not math.isfinite(seconds) or not 0 <= seconds <= MAX_DELAY:
        raise ValueError(_("it must be between 0 seconds and 366 days"))
    return seconds


def _positive(delay: Delay, option: str) -> float:
    try:
        seconds = _seconds(delay)
    except ValueError as exc:
        raise ValueError(f"`{option}`: {exc}") from exc
    if not seconds:
        raise ValueError(_("`{option}` must be above 0", option=option))
    return seconds


def _pauses(backoff: Backoff) -> float | tuple[float, ...]:
    if isinstance(backoff, float | int | timedelta | str):
        return _positive(backoff, "backoff")
    if not backoff:
        raise ValueError(_("`backoff` is empty"))
    return tuple(_positive(pause, "backoff") for pause in backoff)
