"""Who runs a tick: copies of a service agree through one key in Redis for each timer.

The key `<service>:timer:<name>` is a hash, owned by no copy and changed by the three scripts below only:

    tick    the last tick that was claimed, in milliseconds; it never goes back, so what is past stays past
    owner   the process that claimed it, which may ask again when it has lost the answer
    fence   the number of that claim; grows with each
    busy    until when its run holds the timer: a lease, which the run renews while it goes on
    since   when the key was made

What is early, late or over is decided inside the scripts by Redis' own clock. What happens when
- a copy is killed between claim and run: that tick is lost; its lease ends after LEASE and the next ticks, which have
  waited, are run in order;
- a copy is stopped and continues: an answer that was long on its way is asked for again, and is `late` or `taken` then;
  a run in progress learns at its next beat that its lease is another's, and is cancelled;
- Redis does not answer: no tick can be claimed. What has run goes on, and keeps its lease if nobody took it meanwhile;
- Redis comes back empty: ticks wait for SETTLING milliseconds, in which the living copies tell the last tick they know;
  then all go on from there. A tick is repeated when the only copy that knew of it died together with Redis; and after
  a failover to a replica that lags, those that it has not seen may be;
- Redis' clock is set back: ticks that have been run are not run again, so nothing is until that time has come again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sanicbase.jobs.clock import Clock

__all__ = ["FOREVER", "Answer", "Away", "Claim", "RedisTicks", "Ticks", "Verdict"]

logger = logging.getLogger("sanicbase.jobs")

LEASE = 5000  # milliseconds
SETTLING = 2000  # longer than a living copy needs to find Redis again, which is ANSWER and a pause
ANSWER = 1.0  # seconds Redis may take
LOOK = 0.1  # seconds between two looks at a timer that settles
OLD_ANSWER = 1.0  # seconds after which an answer is asked for again
MEASURED = 30.0  # seconds of sleep after which the clock is asked for
FOREVER = 2**52  # milliseconds

HEAD = """
local key, time = KEYS[1], redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', key, 'tick', 'owner', 'fence', 'busy', 'since')
local last, since = tonumber(state[1]), tonumber(state[5])
local fence, busy = tonumber(state[3]) or 0, tonumber(state[4]) or 0
local function make(tick, life)
    redis.call('HSET', key, 'tick', tick, 'since', now)
    redis.call('PEXPIRE', key, life)
end
local function settles(settling)
    return now >= since and now - since < tonumber(settling)
end
"""
TIME = f"{HEAD} return {{now}}"
# ARGV: life, settling. Answers the time, from when on ticks are wanted, and whether that is settled.
JOIN = f"""{HEAD}
if not last then
    make(0, ARGV[1])
    last, since = 0, now
end
return {{now, last > 0 and last or since, settles(ARGV[2]) and 0 or 1}}
"""
# ARGV: tick, known, owner, grace, lease, life, settling. Answers the time, the verdict, the last tick and the fence.
CLAIM = f"""{HEAD}
local tick, known, grace, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
if not last then
    make(known, ARGV[6])
    return {{now, 'settling', known, fence}}
end
if known > last then
    redis.call('HSET', key, 'tick', known, 'owner', '')
    last = known
end
local again = tick == last and state[2] == ARGV[3]
if tick <= last and not again then return {{now, 'taken', last, fence}} end
if tick > now then return {{now, 'early', last, fence}} end
if now - tick > grace then return {{now, 'late', last, fence}} end
if not again then
    if settles(ARGV[7]) then return {{now, 'settling', last, fence}} end
    -- What lies further ahead than it can is of before the clock was set back.
    if busy > now and busy <= now + lease then return {{now, 'busy', last, fence}} end
    fence = math.max(fence + 1, now)
end
redis.call('HSET', key, 'tick', tick, 'owner', ARGV[3], 'fence', fence, 'busy', now + lease)
redis.call('PEXPIRE', key, ARGV[6])
return {{now, 'claimed', tick, fence}}
"""
# ARGV: tick, owner, fence, lease, life. A Redis that came back empty learns of the run by it.
HOLD = f"""{HEAD}
if fence > tonumber(ARGV[3]) then return {{now, 0}} end
if not last then make(0, ARGV[5]) end
if tonumber(ARGV[1]) > (last or 0) then redis.call('HSET', key, 'tick', ARGV[1], 'owner', ARGV[2]) end
redis.call('HSET', key, 'fence', ARGV[3], 'busy', now + ARGV[4])
return {{now, 1}}
"""


class Away(Exception):
    """Redis does not answer; it has been logged."""


class Verdict(StrEnum):
    """What became of a claim."""

    CLAIMED = "claimed"
    """The tick is this copy's to run."""
    TAKEN = "taken"
    """It, or a later one, was claimed before."""
    EARLY = "early"
    """It is not due yet."""
    LATE = "late"
    """It is past its grace."""
    BUSY = "busy"
    """The timer's last run goes on."""
    SETTLING = "settling"
    """Redis has just learned of the timer: other copies may know of this tick."""


@dataclass(frozen=True)
class Answer:
    """The verdict on a claim, at which time (milliseconds), the last tick that was claimed, and the fence."""

    verdict: Verdict
    now: int
    last: int
    fence: int


@dataclass(frozen=True)
class Claim:
    """A tick that a copy wants to run, in milliseconds like all here; `known` is the last tick it knows was claimed,
    `life` how long Redis shall remember."""

    timer: str
    tick: int
    known: int
    grace: int
    exclusive: bool
    life: int


class Ticks(Protocol):
    """Where ticks are claimed. Each of the first three raises Away."""

    async def join(self, timer: str, life: int) -> int:
        """From when on a new copy cares for ticks: the last one claimed, or when the timer was first seen. Returns when
        the living copies have had time to tell."""

    async def claim(self, claim: Claim) -> Answer:
        """Ask for a tick. A tick is granted to one process, once."""

    async def hold(self, claim: Claim, fence: int, *, done: bool) -> bool:
        """Renew the lease of a run, or give it back when `done`; False when a later run has taken its place."""

    def now(self) -> int:
        """The time by which ticks are due."""

    async def sleep_until(self, moment: int) -> None:
        """Return when that time has come, never much later and hardly ever earlier."""


class RedisTicks:
    """Ticks of a service's copies, claimed in one Redis. A process has one for all of its timers."""

    def __init__(self, redis: Redis, service: str) -> None:
        self._redis = redis
        self._service = service
        self._owner = secrets.token_hex(8)
        self._clock = Clock()
        self._away = False

    async def join(self, timer: str, life: int) -> int:
        settled = False
        while not settled:
            since, settled = await self._ask(JOIN, timer, life, SETTLING)
            await asyncio.sleep(0 if settled else LOOK)
        return int(since)

    async def claim(self, claim: Claim) -> Answer:
        lease = LEASE if claim.exclusive else 0
        while True:
            asked = time.monotonic()
            verdict, last, fence = await self._ask(
                CLAIM, claim.timer, claim.tick, claim.known, self._owner, claim.grace, lease, claim.life, SETTLING
            )
            answer = Answer(Verdict(verdict.decode()), self.now(), int(last), int(fence))
            # This process may have been stopped with the answer on its way: is the tick still there to be run?
            if answer.verdict is not Verdict.CLAIMED or time.monotonic() - asked < OLD_ANSWER:
                return answer

    async def hold(self, claim: Claim, fence: int, *, done: bool) -> bool:
        lease = LEASE if claim.exclusive and not done else 0
        (held,) = await self._ask(HOLD, claim.timer, claim.tick, self._owner, fence, lease, claim.life)
        return bool(held)

    def now(self) -> int:
        return self._clock.now()

    async def sleep_until(self, moment: int) -> None:
        while (left := (moment - self.now()) / 1000) > 0:
            await asyncio.sleep(min(left, MEASURED))
            if left > MEASURED:
                with suppress(Away):
                    await self._ask(TIME, "")

    async def _ask(self, script: str, timer: str, *words: str | int) -> list[Any]:
        """What a script answers behind the time, from which the clock learns. Raises Away."""
        key = f"{self._service}:timer:{timer}"
        call = self._redis.register_script(script)
        sent = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER):
                reply: list[Any] = await call(keys=[key], args=words)
        except (RedisError, OSError, TimeoutError) as exc:
            self._note_away(exc)
            raise Away from exc
        self._clock.learn(int(reply[0]), sent, time.monotonic())
        self._note_back()
        return reply[1:]

    def _note_away(self, error: Exception) -> None:
        if not self._away:
            logger.error("Redis does not take claims (%r): no timer runs until it does.", error)
        self._away = True

    def _note_back(self) -> None:
        if self._away:
            logger.info("Redis takes claims again: timers run.")
        self._away = False
