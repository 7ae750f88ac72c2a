"""Claims of ticks in Redis: the copies of a service agree through one key for each timer.

The key `<service>:timer:<name>` is a hash. No copy owns it, and only the three scripts below change it:

    tick    the last tick that was claimed, in milliseconds; it never decreases
    owner   the process that claimed it, which may repeat the claim when it has lost the answer
    fence   the fencing token of that claim; it increases with each claim
    busy    when the lease of its run expires; the run renews it
    since   when the key was created

The scripts decide by Redis' own clock what is early or late. What happens when
- a copy is killed between claim and run: the tick is lost. Its lease expires after LEASE, and the next ticks, which
  have waited, run in order;
- a copy is paused and continues: a claim whose answer took long is repeated, and is `late` or `taken` then. A run in
  progress learns at its next renewal that it has lost its lease, and is cancelled;
- Redis does not respond: no tick can be claimed. Runs in progress continue, and keep their leases if no other copy has
  taken them in the meantime;
- Redis loses its data: ticks wait for SETTLING milliseconds, in which the other copies report the last tick they know;
  then all continue from there. A tick is repeated when the only copy that knew of it died together with Redis. After a
  failover to a replica that lags, the ticks that it has not received may be repeated;
- Redis' clock is set back: ticks that have run do not run again, so none runs until the clock has caught up.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sanicbase.alerts import report_begun, report_ended
from sanicbase.jobs.claims import Claim, ClaimResult, ClaimStatus, RedisUnavailable

__all__ = ["RedisClaims", "RedisClock"]

logger = logging.getLogger("sanicbase.jobs")

LEASE = 5000  # milliseconds
SETTLING = 2000  # milliseconds; longer than a copy needs to reach Redis again, which is TIMEOUT and a pause
TIMEOUT = 1.0  # seconds that Redis has to respond
POLL = 0.1  # seconds between two checks of a timer that settles
MAX_DELAY = 1.0  # seconds; a claim whose answer took longer is repeated
SLOW = 0.5  # seconds; an answer that took longer is too imprecise to set the clock by
RESYNC = 30.0  # seconds of sleep after which Redis is asked for the time again

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
# ARGV: life, settling. Returns the time, the time after which to run ticks, and whether that is settled.
JOIN = f"""{HEAD}
if not last then
    make(0, ARGV[1])
    last, since = 0, now
end
return {{now, last > 0 and last or since, settles(ARGV[2]) and 0 or 1}}
"""
# ARGV: tick, known, owner, grace, lease, life, settling. Returns the time, the status, the last tick, the fence.
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
    -- A lease that ends later than possible is from before the clock was set back.
    if busy > now and busy <= now + lease then return {{now, 'busy', last, fence}} end
    fence = math.max(fence + 1, now)
end
redis.call('HSET', key, 'tick', tick, 'owner', ARGV[3], 'fence', fence, 'busy', now + lease)
redis.call('PEXPIRE', key, ARGV[6])
return {{now, 'claimed', tick, fence}}
"""
# ARGV: tick, owner, fence, lease, life. It also tells a Redis that came back empty about the run.
RENEW = f"""{HEAD}
if fence > tonumber(ARGV[3]) then return {{now, 0}} end
if not last then make(0, ARGV[5]) end
if tonumber(ARGV[1]) > (last or 0) then redis.call('HSET', key, 'tick', ARGV[1], 'owner', ARGV[2]) end
redis.call('HSET', key, 'fence', ARGV[3], 'busy', now + ARGV[4])
return {{now, 1}}
"""


class RedisClock:
    """Redis' clock, derived from this process's monotonic clock. This machine's wall clock plays no part.

    Its error is at most half a round trip. It only wakes the process up in time: Redis decides by its own clock who
    may run a tick.
    """

    def __init__(self) -> None:
        self._offset: float | None = None

    def learn(self, milliseconds: int, sent: float, received: float) -> None:
        """Set the clock by an answer of Redis, given the monotonic times when the request was sent and answered."""
        if self._offset is None or received - sent < SLOW:
            self._offset = milliseconds / 1000 - (sent + received) / 2

    def now(self) -> int:
        """Redis' time in milliseconds since 1970; this machine's own before the first answer."""
        now = time.time() if self._offset is None else time.monotonic() + self._offset
        return int(now * 1000)


class RedisClaims:
    """Claims of a service's copies in one Redis. A process has one object for all of its timers."""

    def __init__(self, redis: Redis, service: str) -> None:
        self._redis = redis
        self._service = service
        self._owner = secrets.token_hex(8)
        self._clock = RedisClock()
        self._is_unavailable = False

    async def join(self, timer: str, life: int) -> int:
        settled = False
        while not settled:
            since, settled = await self._call(JOIN, timer, life, SETTLING)
            await asyncio.sleep(0 if settled else POLL)
        return int(since)

    async def claim(self, claim: Claim) -> ClaimResult:
        lease = LEASE if claim.exclusive else 0
        while True:
            sent = time.monotonic()
            status, last, fence = await self._call(
                CLAIM, claim.timer, claim.tick, claim.known, self._owner, claim.grace, lease, claim.life, SETTLING
            )
            result = ClaimResult(ClaimStatus(status.decode()), self.now(), int(last), int(fence))
            # This process may have been paused before it got the answer: is the tick still its own?
            if result.status is not ClaimStatus.CLAIMED or time.monotonic() - sent < MAX_DELAY:
                return result

    async def update_lease(self, claim: Claim, fence: int, *, done: bool) -> bool:
        lease = LEASE if claim.exclusive and not done else 0
        (held,) = await self._call(RENEW, claim.timer, claim.tick, self._owner, fence, lease, claim.life)
        return bool(held)

    def now(self) -> int:
        return self._clock.now()

    async def sleep_until(self, moment: int) -> None:
        while (left := (moment - self.now()) / 1000) > 0:
            await asyncio.sleep(min(left, RESYNC))
            if left > RESYNC:
                with suppress(RedisUnavailable):
                    await self._call(TIME, "")

    async def _call(self, script: str, timer: str, *args: str | int) -> list[Any]:
        """Run a script, set the clock by its answer, and return the rest of it. Raises RedisUnavailable."""
        key = f"{self._service}:timer:{timer}"
        run = self._redis.register_script(script)
        sent = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT):
                reply: list[Any] = await run(keys=[key], args=args)
        except (RedisError, OSError, TimeoutError) as exc:
            self._note_failure(exc)
            raise RedisUnavailable from exc
        self._clock.learn(int(reply[0]), sent, time.monotonic())
        self._note_success()
        return reply[1:]

    def _note_failure(self, error: Exception) -> None:
        if not self._is_unavailable:
            text = f"Redis is unavailable ({error!r}): no timer runs until it answers."
            logger.error("%s", text)
            report_begun("server", "redis of timers", text)
        self._is_unavailable = True

    def _note_success(self) -> None:
        if self._is_unavailable:
            logger.info("Redis is available again: timers run.")
            report_ended("server", "redis of timers", "Redis is available again: timers run.")
        self._is_unavailable = False
