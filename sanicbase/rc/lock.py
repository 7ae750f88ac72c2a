"""Distributed locks: one holder among all processes of a service, and a block that is cancelled when it loses the lock.

A lock is two keys in Redis. Only the three scripts below change them, so all expiry follows the clock of Redis:

    <service>:lock:<name>        the secret of the holder, for the ttl
    <service>:lock:<name>:past   the last token, and the last holder that released; for a day after the last use

The second key makes tokens increase even when the clock is set back, and makes a release repeatable. Losing it is safe:
tokens are microseconds of Redis' clock, so an emptied Redis continues with higher ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import re
import reprlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from math import inf
from typing import Any
from weakref import WeakValueDictionary

from redis.exceptions import RedisError

from sanicbase.errors import LockLost, LockTaken, NotOpenError, ResourceError
from sanicbase.process.cancellation import run_shielded, uncancel
from sanicbase.rc.clients import get_notifier, get_redis, namespace

__all__ = ["LockHandle", "lock"]

logger = logging.getLogger("sanicbase.rc")

PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
MIN_TTL, MAX_TTL = 0.1, 86400.0  # seconds of a ttl
TOKEN_TTL_MS = 86_400_000  # milliseconds
ANSWER_TIMEOUT = 1.0  # seconds that Redis has to answer
FIRST_PAUSE, MAX_PAUSE = 0.05, 1.0  # seconds between two attempts
HANDOVER_PAUSE = 0.01  # seconds that a process leaves a released lock to waiting processes
MARGIN = 0.005  # seconds to wait after the expected expiry
EXPIRED = "it expired, or Redis was emptied"
UNREACHED = (RedisError, OSError, TimeoutError)

# KEYS: the lock, its past. ARGV: secret, ttl, life of tokens. Returns the token, or 0 and the PTTL of the lock.
ACQUIRE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {0, redis.call('PTTL', KEYS[1])} end
local time, last = redis.call('TIME'), redis.call('HGET', KEYS[2], 'token')
local token = math.max((tonumber(last) or 0) + 1, time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[2], 'token', string.format('%.0f', token))
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {token, 0}
"""
# Returns whether the lock is still held.
RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
"""
# Returns whether the lock was held, again for a client that repeats the request, and the number of notified waiters.
RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return {redis.call('HGET', KEYS[2], 'released') == ARGV[1] and 1 or 0, 0}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[2], 'released', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local heard = redis.pcall('PUBLISH', KEYS[1], '')  -- the account may lack the permission
return {1, type(heard) == 'number' and heard or 0}
"""


@dataclass(frozen=True)
class LockHandle:
    """A lock that is held."""

    name: str
    token: int
    """The fencing token, higher than that of every earlier holder. A store can refuse a token lower than the last one
    it has seen, as a model with `Fenced` does. Positive, and fits a BIGINT."""


@asynccontextmanager
async def lock(
    name: str, *, ttl: float = 10.0, wait: float | None = None, connection: str = "default"
) -> AsyncIterator[LockHandle]:
    """Hold the service's lock of that name during the block; no other process or task holds it meanwhile.

        async with lock("rebuild") as held:
            await rebuild()

    The lock is renewed until the block ends. It expires `ttl` seconds (0.1 to 86400) after its holder was killed, was
    stopped or lost its connection to Redis. **A block that loses the lock is cancelled**, and LockLost is raised in
    place of its CancelledError. LockLost is also raised when the loss is detected after the last line of the block,
    since another holder may have run at the same time. An exception of the block, or a cancellation from outside, is
    raised instead, and the loss is logged. A stopped process detects the loss only when it continues, so write with
    `held.token` what must never be written late: Martin Kleppmann, How to do distributed locking,
    https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html

    `wait` is the number of seconds to wait for the current holder: None waits without limit, 0 does not wait. Tasks of
    one process take the lock in their order. The name may be any text. The lock is not reentrant.

    Raises LockTaken when `wait` expires, ResourceError when Redis does not answer within that time and two seconds
    more, ValueError for a wrong `ttl` or `wait`, and NotOpenError outside a lifespan.
    """
    if not MIN_TTL <= ttl <= MAX_TTL:
        raise ValueError(f"`ttl` must be a number of seconds from {MIN_TTL:g} to {MAX_TTL:g}, not {ttl!r}.")
    if wait is not None and not wait >= 0:
        raise ValueError(f"`wait` must be a number of seconds, 0 or more, or None to wait forever, not {wait!r}.")
    lease = _Lease(name, ttl, connection)
    deadline = inf if wait is None else asyncio.get_running_loop().time() + wait
    async with _local_lock(lease, deadline):
        await lease.acquire(deadline)
        async with lease.renewed():
            yield LockHandle(name, lease.token)


# Tasks of one process take turns, so that only one of them asks Redis.
_local_locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()


@asynccontextmanager
async def _local_lock(lease: _Lease, deadline: float) -> AsyncIterator[None]:
    local_lock = _local_locks.setdefault((lease.connection, lease.key), asyncio.Lock())
    try:
        async with asyncio.timeout_at(None if deadline == inf else deadline):
            await local_lock.acquire()
    except TimeoutError:
        raise lease.taken_error() from None
    try:
        yield
    finally:
        if lease.has_waiters:
            asyncio.get_running_loop().call_later(HANDOVER_PAUSE, local_lock.release)
        else:
            local_lock.release()


class _Lease:
    """The lock of one holder: acquired, renewed, released."""

    def __init__(self, name: str, ttl: float, connection: str) -> None:
        get_redis(connection)  # raises NotOpenError for an unknown name
        self.key = f"{namespace()}:lock:{_key_part(name)}"
        self.connection = connection
        self.token = 0
        self.has_waiters = False  # in other processes, at the release
        self._name = reprlib.repr(name)
        self._ttl = ttl
        self._secret = secrets.token_hex(16)
        self._clock = asyncio.get_running_loop().time
        self._expires_at = 0.0  # by our clock; Redis expires it later, since it starts to count later
        self._expires_in = inf  # seconds, of the current holder's lock
        self._may_be_held = False
        self._last_error: BaseException | None = None

    def taken_error(self) -> LockTaken:
        return LockTaken(f"Another holder has the lock {self._name}. Try again later, or raise `wait`.")

    async def acquire(self, deadline: float) -> None:
        """Return when the lock is acquired. After an exception nothing stays held."""
        try:
            if not await run_shielded(self._try_acquire()):
                await self._wait_until_free(deadline)
        except BaseException:
            if self._may_be_held:
                await run_shielded(self._release())
            raise

    async def _wait_until_free(self, deadline: float) -> None:
        self._check_deadline(deadline)
        pause, max_pause = FIRST_PAUSE, min(max(self._ttl / 10, FIRST_PAUSE), MAX_PAUSE)
        timeout = min(max_pause, deadline - self._clock())
        async with get_notifier(self.connection).listen(self.key, confirm_timeout=timeout) as released:
            while not await run_shielded(self._try_acquire()):
                self._check_deadline(deadline)
                jittered = pause * random.uniform(0.5, 1)  # noqa: S311  (many processes, one Redis)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(jittered, self._expires_in + MARGIN, deadline - self._clock())):
                        await released.wait()
                released.clear()
                pause = min(pause * 2, max_pause)

    def _check_deadline(self, deadline: float) -> None:
        if self._clock() < deadline:
            return
        if self._last_error is not None:
            raise ResourceError(
                f"Redis does not answer, so the lock {self._name} was not acquired."
            ) from self._last_error
        raise self.taken_error()

    async def _try_acquire(self) -> bool:
        sent, self._may_be_held = self._clock(), True
        try:
            async with asyncio.timeout(min(ANSWER_TIMEOUT, self._ttl)):
                token, pttl = await self._run(ACQUIRE)
        except UNREACHED as exc:
            if self._last_error is None:
                logger.warning("The lock %s cannot be acquired: %r. Retrying.", self._name, exc)
            self._last_error, self._expires_in = exc, inf
            return False
        self._last_error = None
        self._may_be_held = bool(token)
        self._expires_in = pttl / 1000 if pttl >= 0 else inf
        self.token, self._expires_at = int(token), sent + self._ttl
        return bool(token) and self._clock() < self._expires_at

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renew the lock during the block, then release it. Raises LockLost."""
        scope = _CancelScope(f"Redis did not answer for {self._ttl:g} seconds, or this process was stopped")
        scope.reschedule(self._expires_at)
        renewing = asyncio.create_task(self._renew(scope), name=f"renewal of {self.key}")
        error: BaseException | None = None
        try:
            yield
        except BaseException as exc:
            error = exc
        try:
            is_own = await scope.close(error)
        finally:
            held = await run_shielded(self._stop(renewing))
        if held is False or (held is None and self._clock() >= self._expires_at):
            scope.reason = scope.reason or EXPIRED
        self._conclude(scope.reason, error, is_own=is_own)

    def _conclude(self, reason: str, error: BaseException | None, *, is_own: bool) -> None:
        """Raise what the block ends with. `is_own`: the error is the cancellation by this lease."""
        message = f"The lock {self._name} was lost: {reason}. Another holder may have run at the same time."
        if error is not None and not is_own:
            if reason:
                logger.warning("%s", message)
            raise error
        if reason:
            raise LockLost(f"{message} Choose a longer `ttl`, and write with the token of the lock.") from error

    async def _renew(self, scope: _CancelScope) -> None:
        pause = self._ttl / 3
        while True:
            await asyncio.sleep(pause)
            sent = self._clock()
            try:
                async with asyncio.timeout(self._ttl / 3):
                    held = await self._run(RENEW)
            except (*UNREACHED, NotOpenError) as exc:
                logger.info("The lock %s could not be renewed: %r. Retrying.", self._name, exc)
                pause = self._ttl / 20
                continue
            if not held:
                scope.cancel(EXPIRED)
                return
            self._expires_at, pause = sent + self._ttl, self._ttl / 3
            scope.reschedule(self._expires_at)

    async def _stop(self, renewing: asyncio.Task[None]) -> bool | None:
        renewing.cancel()
        await asyncio.wait({renewing}, timeout=ANSWER_TIMEOUT)
        return await self._release()

    async def _release(self) -> bool | None:
        """Release it; whether it was held until then, None when Redis does not answer."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                held, listeners = await self._run(RELEASE)
        except (*UNREACHED, NotOpenError) as exc:
            logger.warning(
                "The lock %s could not be released (%r). It expires within %g seconds.",
                self._name,
                exc,
                self._ttl,
            )
            return None
        self.has_waiters = listeners > 0
        return bool(held)

    async def _run(self, script: str) -> Any:
        call = get_redis(self.connection).register_script(script)
        return await call(
            keys=[self.key, f"{self.key}:past"], args=[self._secret, round(self._ttl * 1000), TOKEN_TTL_MS]
        )


class _CancelScope:
    """Cancels the current task's block, and tells its own cancellation from others, as `asyncio.timeout` does.

    `timeout_reason` is the reason when the deadline passes.
    """

    def __init__(self, timeout_reason: str) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (for mypy: an `async with` runs in a task)
        self._task = task
        self._cancelling = task.cancelling()
        self._timeout_reason = timeout_reason
        self._timer: asyncio.TimerHandle | None = None
        self._open = True
        self._cancelled = False
        self.reason = ""

    def reschedule(self, moment: float) -> None:
        """Set the deadline, by the event loop's clock."""
        if self._timer:
            self._timer.cancel()
        if self._open:
            self._timer = asyncio.get_running_loop().call_at(moment, self.cancel, self._timeout_reason)

    def cancel(self, reason: str) -> None:
        """Cancel the block."""
        if self._open and not self._cancelled:
            self.reason, self._cancelled = reason, True
            self._task.cancel()

    async def close(self, error: BaseException | None) -> bool:
        """End the scope; whether the block's error is the cancellation by this scope."""
        self._open = False
        if self._timer:
            self._timer.cancel()
        if not self._cancelled:
            return False
        is_own = isinstance(error, asyncio.CancelledError)
        try:
            if not is_own:  # let a pending cancellation arrive here, not at the caller's next await
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if not uncancel(self._task, self._cancelling):
                raise
            return False
        return uncancel(self._task, self._cancelling) and is_own


def _key_part(name: str) -> str:
    """The name as part of a key: itself when it is short and plain, else a digest that no plain name equals."""
    if PLAIN.fullmatch(name):
        return name
    return "~" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
