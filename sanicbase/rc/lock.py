"""lock: one holder at a time over all processes of a service, and a body that ends when the lock is lost.

A lock is two keys in Redis, changed by the three scripts below only, so that Redis' own clock judges every life:

    <service>:lock:<name>        the secret of who holds it, for the ttl
    <service>:lock:<name>:past   the last token that was given out, and who let go last; for a day after the last use

The second key is what lets tokens grow though the clock is set back, and a release be asked for twice. It may be lost:
tokens are microseconds of Redis' clock, so those of an emptied Redis are higher than those from before.
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
from sanicbase.process.cancelling import to_the_end
from sanicbase.rc.clients import get_redis, get_wakeups, namespace
from sanicbase.rc.guard import Guard

__all__ = ["Held", "lock"]

logger = logging.getLogger("sanicbase.rc")

PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
SHORTEST, LONGEST = 0.1, 86400.0  # seconds of a ttl
MEMORY = 86_400_000  # milliseconds that tokens are remembered
ANSWER = 1.0  # seconds that Redis has to give a lock, or to take it back
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two looks at a lock that is taken
COURTESY = 0.01  # seconds that a process leaves the lock to others that wait for it
MARGIN = 0.005  # seconds to wait after a life should have ended
GONE = "Redis has it no more, as it had expired or Redis was emptied"
UNREACHED = (RedisError, OSError, TimeoutError)

# KEYS: the lock, its past. ARGV: secret, ttl, memory. Answers the token, or 0 and how long the lock will last.
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
# Answers whether it is still held.
RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
"""
# Answers whether it was held until now, which a client that lost the answer is told again; and how many heard of it.
RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return {redis.call('HGET', KEYS[2], 'released') == ARGV[1] and 1 or 0, 0}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[2], 'released', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local heard = redis.pcall('PUBLISH', KEYS[1], '')  -- which an account may not be allowed to
return {1, type(heard) == 'number' and heard or 0}
"""


@dataclass(frozen=True)
class Held:
    """A lock while it is held."""

    name: str
    token: int
    """Higher than that of every holder before: whoever stores results can refuse a lower one than the last it has
    seen, as a model with `Fenced` does. Positive, and fits a BIGINT."""


@asynccontextmanager
async def lock(
    name: str, *, ttl: float = 10.0, wait: float | None = None, connection: str = "default"
) -> AsyncIterator[Held]:
    """Hold the service's lock of that name during the block, alone over all of its processes.

        async with lock("rebuild") as held:
            await rebuild()

    It is renewed for as long as the block takes. A holder that is killed keeps it for `ttl` seconds at most (from 0.1
    to 86400); one that stands still for that long, or cannot reach Redis, loses it. **Then the block is cancelled**,
    and LockLost is raised in place of its CancelledError. It is raised as well when the loss is found out only after
    the last line, for another holder may have been at work at the same time. An exception of the block's own goes
    before it, and so does a cancellation from outside; the loss is logged then. A process that was stopped does not
    know of the loss until it goes on, so what must never be written late is written with `held.token`:
    Martin Kleppmann, How to do distributed locking,
    https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html

    `wait` is how many seconds to wait for another holder, for ever by default, not at all if 0. Tasks of one process
    take turns in their order. A name is any text. A block that asks for its own lock waits for itself.

    Raises LockTaken when it is not had in time; ResourceError when Redis has not answered then, two seconds later
    at most; ValueError for a ttl or a wait that cannot be; NotOpenError outside a lifespan.
    """
    if not SHORTEST <= ttl <= LONGEST:
        raise ValueError(f"`ttl` is a number of seconds from {SHORTEST:g} to {LONGEST:g}, not {ttl!r}.")
    if wait is not None and not wait >= 0:
        raise ValueError(f"`wait` is a number of seconds, 0 or more, or None to wait for ever, not {wait!r}.")
    lease = _Lease(name, ttl, connection)
    give_up_at = inf if wait is None else asyncio.get_running_loop().time() + wait
    async with _turn(lease, give_up_at):
        await lease.acquire(give_up_at)
        async with lease.kept():
            yield Held(name, lease.token)


# Tasks of one process take turns among themselves, first come, first served: only one of them asks Redis.
_turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()


@asynccontextmanager
async def _turn(lease: _Lease, give_up_at: float) -> AsyncIterator[None]:
    turn = _turns.setdefault((lease.connection, lease.key), asyncio.Lock())
    try:
        async with asyncio.timeout_at(None if give_up_at == inf else give_up_at):
            await turn.acquire()
    except TimeoutError:
        raise lease.taken() from None
    try:
        yield
    finally:
        if lease.awaited:
            asyncio.get_running_loop().call_later(COURTESY, turn.release)
        else:
            turn.release()


class _Lease:
    """One holder's life of a lock: asked for, kept alive, given back."""

    def __init__(self, name: str, ttl: float, connection: str) -> None:
        get_redis(connection)  # there is one, or it is said now
        self.key = f"{namespace()}:lock:{_encoded(name)}"
        self.connection = connection
        self.token = 0
        self.awaited = False  # by other processes, when it was given back
        self._name = reprlib.repr(name)
        self._ttl = ttl
        self._secret = secrets.token_hex(16)
        self._clock = asyncio.get_running_loop().time
        self._ends_at = 0.0  # by our clock; by Redis' it is later, for it begins to count later
        self._free_in = inf  # seconds that the other holder's life will last
        self._may_be_ours = False
        self._away: BaseException | None = None

    def taken(self) -> LockTaken:
        return LockTaken(f"The lock {self._name} is held by somebody else. Try again later, or wait longer.")

    async def acquire(self, give_up_at: float) -> None:
        """Return when it is ours. Whatever goes wrong, nothing stays held."""
        try:
            if not await to_the_end(self._try()):
                await self._wait(give_up_at)
        except BaseException:
            if self._may_be_ours:
                await to_the_end(self._release())
            raise

    async def _wait(self, give_up_at: float) -> None:
        self._check_patience(give_up_at)
        pause, longest = FIRST_PAUSE, min(max(self._ttl / 10, FIRST_PAUSE), LONGEST_PAUSE)
        patience = min(longest, give_up_at - self._clock())
        async with get_wakeups(self.connection).on(self.key, patience) as released:
            while not await to_the_end(self._try()):
                self._check_patience(give_up_at)
                jittered = pause * random.uniform(0.5, 1)  # noqa: S311  (many processes, one Redis)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(jittered, self._free_in + MARGIN, give_up_at - self._clock())):
                        await released.wait()
                released.clear()
                pause = min(pause * 2, longest)

    def _check_patience(self, give_up_at: float) -> None:
        if self._clock() < give_up_at:
            return
        if self._away is not None:
            raise ResourceError(f"Redis does not answer, so the lock {self._name} is not had.") from self._away
        raise self.taken()

    async def _try(self) -> bool:
        sent, self._may_be_ours = self._clock(), True
        try:
            async with asyncio.timeout(min(ANSWER, self._ttl)):
                token, left = await self._run(ACQUIRE)
        except UNREACHED as exc:
            if self._away is None:
                logger.warning("The lock %s cannot be asked for: %r. It is tried again.", self._name, exc)
            self._away, self._free_in = exc, inf
            return False
        self._away = None
        self._may_be_ours = bool(token)
        self._free_in = left / 1000 if left >= 0 else inf
        self.token, self._ends_at = int(token), sent + self._ttl
        return bool(token) and self._clock() < self._ends_at

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew it during the block; in the end give it back. Raises LockLost."""
        guard = Guard(f"Redis has not answered for {self._ttl:g} seconds, or this process stood still")
        guard.lasts_until(self._ends_at)
        renewing = asyncio.create_task(self._renew(guard), name=f"renewal of {self.key}")
        error: BaseException | None = None
        try:
            yield
        except BaseException as exc:
            error = exc
        try:
            ours = await guard.close(error)
        finally:
            held = await to_the_end(self._end(renewing))
        if held is False or (held is None and self._clock() >= self._ends_at):
            guard.loss = guard.loss or GONE
        self._conclude(guard.loss, error, ours=ours)

    def _conclude(self, loss: str, error: BaseException | None, *, ours: bool) -> None:
        """Raise what the block ends with. `ours` is whether its error is the cancellation that we have sent."""
        said = f"The lock {self._name} was lost: {loss}. Others may have been at work at the same time."
        if error is not None and not ours:
            if loss:
                logger.warning("%s", said)
            raise error
        if loss:
            raise LockLost(f"{said} Choose a longer ttl, and write with the token of the lock.") from error

    async def _renew(self, guard: Guard) -> None:
        pause = self._ttl / 3
        while True:
            await asyncio.sleep(pause)
            sent = self._clock()
            try:
                async with asyncio.timeout(self._ttl / 3):
                    held = await self._run(RENEW)
            except (*UNREACHED, NotOpenError) as exc:
                logger.info("The lock %s could not be renewed: %r. It is tried again.", self._name, exc)
                pause = self._ttl / 20
                continue
            if not held:
                guard.lose(GONE)
                return
            self._ends_at, pause = sent + self._ttl, self._ttl / 3
            guard.lasts_until(self._ends_at)

    async def _end(self, renewing: asyncio.Task[None]) -> bool | None:
        renewing.cancel()
        await asyncio.wait({renewing}, timeout=ANSWER)
        return await self._release()

    async def _release(self) -> bool | None:
        """Give it back; whether it was held until then, None if Redis could not be asked."""
        try:
            async with asyncio.timeout(ANSWER):
                held, heard = await self._run(RELEASE)
        except (*UNREACHED, NotOpenError) as exc:
            logger.warning(
                "The lock %s could not be given back (%r). It ends by itself within %g seconds.",
                self._name,
                exc,
                self._ttl,
            )
            return None
        self.awaited = heard > 0
        return bool(held)

    async def _run(self, script: str) -> Any:
        call = get_redis(self.connection).register_script(script)
        return await call(keys=[self.key, f"{self.key}:past"], args=[self._secret, round(self._ttl * 1000), MEMORY])


def _encoded(name: str) -> str:
    """The name as a part of a key: as it is, if it is short and plain, else a digest, which no plain name can be."""
    if PLAIN.fullmatch(name):
        return name
    return "~" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
