"""Events counted in moving windows: together for all processes of a service in Redis, or per process without it.

The windows are those of the limits library, whose Lua scripts are executed as one, by the clock of Redis.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple, Self

from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from sanicbase.alerts import report_begun, report_ended
from sanicbase.config import Config
from sanicbase.errors import SanicBaseError
from sanicbase.rc.clients import namespace, quick_client

__all__ = ["MovingWindows", "Rate", "WindowCount"]

logger = logging.getLogger("sanicbase.limits")

MAX_AMOUNT = 10_000  # events in a window, each of which is kept until the window has passed
MAX_SECONDS = 31 * 86_400
UNREACHED = (RedisError, RedisClusterException, OSError, TimeoutError)
RETRY = 1.0  # seconds between two requests to a Redis that does not answer
LOG_INTERVAL = 10.0  # seconds between two lines about the beginning of an outage
MAX_LOCAL_KEYS = 10_000
MAX_LOCAL_EVENTS = 100_000
PLAIN = re.compile(r"[A-Za-z0-9._:@/+-]{1,100}")

COUNT = """
local function acquire(KEYS, ARGV)
{acquire}
end
local function window(KEYS, ARGV)
{window}
end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local amount, seconds, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local allowed = cost == 0 or acquire(KEYS, {{now, amount, seconds, cost}})
local state = window(KEYS, {{now - seconds, amount}}) or {{now - seconds, 0}}
return {{allowed and 1 or 0, state[2], tostring(state[1] + seconds - now)}}
"""


@dataclass(frozen=True)
class Rate:
    """So many events in a moving window of so many seconds."""

    amount: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `100/minute`, or `10 per 15 minutes`. Raises SanicBaseError."""
        import limits

        try:
            item = limits.parse(text)
        except ValueError as exc:
            raise SanicBaseError(f"{text!r} is not a rate. Write it as 100/minute, or 10 per 15 minutes.") from exc
        rate = cls(item.amount, item.get_expiry())
        if not (1 <= rate.amount <= MAX_AMOUNT and 1 <= rate.seconds <= MAX_SECONDS):
            raise SanicBaseError(
                f"The rate {text!r} is out of range: at most {MAX_AMOUNT} in a window, of at most 31 days. "
                f"Choose a shorter window with a smaller amount."
            )
        return rate


class WindowCount(NamedTuple):
    """A window after an event."""

    allowed: bool
    """Whether the event was counted; one above the amount is not."""
    remaining: int
    """How many more events the window has room for."""
    reset: float
    """Seconds until the oldest event leaves the window."""


class MovingWindows:
    """The windows of an app in one process. `settings` returns the current settings.

    Owned by one event loop. A caller that is cancelled has counted its event or has not. While Redis does not answer,
    one caller a second tries it, for at most RATE_LIMIT_TIMEOUT, and no other waits.
    """

    def __init__(self, settings: Callable[[], Config]) -> None:
        self._settings = settings
        self._local = LocalWindows()
        self._outage = _Outage()
        self._script = b""
        self._digest = ""

    async def count(self, key: str, rate: Rate, *, cost: int = 1) -> WindowCount | None:
        """Count `cost` events of that key, if the window has room for them; with a cost of 0 only look.

        Returns None when Redis does not answer and RATE_LIMIT_WITHOUT_REDIS is `allow`.
        """
        if self._outage.should_try():
            try:
                client = quick_client(self._timeout)
                result = await self._bounded(self._run_script(client, key, rate, cost))
            except UNREACHED as exc:
                self._outage.failed(exc)
            else:
                self._outage.answered()
                allowed, used, reset = result
                left = min(max(0.0, float(reset)), rate.seconds)  # Lua rounds it
                return WindowCount(bool(allowed), max(0, rate.amount - int(used)), left)
        if self._settings().RATE_LIMIT_WITHOUT_REDIS == "allow":
            return None
        return self._local.count(key, rate, cost)

    async def forget(self, key: str, *, events: int = 0) -> None:
        """Forget the latest events of a key; without `events`, all of them. It does nothing while Redis is away."""
        self._local.forget(key, events)
        if not self._outage.should_try():
            return
        try:
            client: Any = quick_client(self._timeout)
            name = self._name(key)
            await self._bounded(client.ltrim(name, events, -1) if events else client.delete(name))
        except UNREACHED as exc:
            self._outage.failed(exc)
        else:
            self._outage.answered()

    @property
    def _timeout(self) -> float:
        return self._settings().RATE_LIMIT_TIMEOUT

    async def _bounded(self, request: Any) -> Any:
        async with asyncio.timeout(self._timeout):
            return await request

    async def _run_script(self, client: Any, key: str, rate: Rate, cost: int) -> Any:
        if not self._script:
            self._script = _script()
            self._digest = hashlib.sha1(self._script, usedforsecurity=False).hexdigest()
        arguments = (1, self._name(key), rate.amount, rate.seconds, cost)
        try:
            return await client.evalsha(self._digest, *arguments)
        except NoScriptError:  # a Redis that was restarted or has not seen it yet
            return await client.eval(self._script, *arguments)

    def _name(self, key: str) -> str:
        """The key in Redis: plain ones as they are, others as a digest that no plain one equals."""
        plain = key if PLAIN.fullmatch(key) else "~" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{namespace()}:limit:{plain}"


class LocalWindows:
    """Moving windows in the memory of one process: MAX_LOCAL_KEYS with MAX_LOCAL_EVENTS in all.

    The keys that were not used for the longest time are forgotten beyond that.
    """

    def __init__(self) -> None:
        self._events: OrderedDict[str, deque[float]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def count(self, key: str, rate: Rate, cost: int) -> WindowCount:
        """See MovingWindows."""
        now = monotonic()
        events = self._events.setdefault(key, deque())
        self._events.move_to_end(key)
        while events and events[0] <= now - rate.seconds:
            events.popleft()
            self._size -= 1
        allowed = len(events) + cost <= rate.amount
        if allowed:
            events.extend([now] * cost)
            self._size += cost
        remaining, reset = rate.amount - len(events), events[0] + rate.seconds - now if events else 0.0
        if not events:
            del self._events[key]
        self._shrink()
        return WindowCount(allowed, max(0, remaining), reset)

    def forget(self, key: str, events: int) -> None:
        """See MovingWindows."""
        kept = self._events.get(key)
        if kept is None:
            return
        for _ in range(min(events, len(kept)) if events else len(kept)):
            kept.pop()
            self._size -= 1
        if not kept:
            del self._events[key]

    def _shrink(self) -> None:
        while len(self._events) > MAX_LOCAL_KEYS or self._size > MAX_LOCAL_EVENTS:
            _, forgotten = self._events.popitem(last=False)
            self._size -= len(forgotten)


class _Outage:
    """Whether Redis answers, as far as this process knows: a line in the log when it stops and one when it is back."""

    def __init__(self) -> None:
        self._since = 0.0
        self._next_try = 0.0
        self._logged_at = float("-inf")
        self._is_logged = False

    def should_try(self) -> bool:
        if not self._since:
            return True
        now = monotonic()
        if now < self._next_try:
            return False
        self._next_try = now + RETRY
        return True

    def failed(self, error: BaseException) -> None:
        now = monotonic()
        self._next_try = now + RETRY
        if not self._since:
            self._since, self._is_logged = now, False
        if not self._is_logged and now - self._logged_at >= LOG_INTERVAL:
            self._is_logged, self._logged_at = True, now
            reason = "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
            text = f"Redis does not count the requests of rate limits: {reason.rstrip('.')}."
            logger.warning("%s", text)
            report_begun("server", "redis of rate limits", text)

    def answered(self) -> None:
        if not self._since:
            return
        if self._is_logged:
            text = f"Redis counts the requests of rate limits again, after {monotonic() - self._since:.1f} s."
            logger.warning("%s", text)
            report_ended("server", "redis of rate limits", text)
        self._since = 0.0


def _script() -> bytes:
    """Both scripts of the library as one: the event and the state of the window after it, in one round trip."""
    from limits.aio.storage.redis.bridge import RedisBridge

    scripts = {"acquire": RedisBridge.SCRIPT_ACQUIRE_MOVING_WINDOW, "window": RedisBridge.SCRIPT_MOVING_WINDOW}
    return COUNT.format(**{name: _text(script) for name, script in scripts.items()}).encode()


def _text(script: bytes | str) -> str:
    return script.decode() if isinstance(script, bytes) else script
