"""run_timers: the loop of each timer, from one tick to the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sanicbase.alerts import report_event
from sanicbase.config import Config
from sanicbase.errors import NotOpenError
from sanicbase.jobs.claims import FOREVER, Claim, ClaimResult, Claims, ClaimStatus, RedisUnavailable
from sanicbase.jobs.executor import Executor
from sanicbase.jobs.local_claims import LocalClaims
from sanicbase.jobs.redis_claims import RedisClaims
from sanicbase.jobs.schedule import EPOCH, MILLISECOND, latest, longest_pause
from sanicbase.jobs.timer import Tick, Timer, check_timers
from sanicbase.metrics import Counter, Gauge
from sanicbase.metrics.instruments import is_counting
from sanicbase.rc import get_redis

__all__ = ["run_timers"]

logger = logging.getLogger("sanicbase.jobs")

MISSED = Counter("sanicbase_timer_missed_total", "Ticks that no process could run in time.", ["timer"])
PERIOD = Gauge(
    "sanicbase_timer_period_seconds", "The longest time between two ticks of a timer.", ["timer"], takes_maximum=True
)
KEY_LIFE = timedelta(days=7)  # how long after its next tick the key of a timer that no copy runs expires
RETRY_DELAY = 0.1  # seconds until a claim that was neither granted nor refused is repeated


async def run_timers(timers: Sequence[Timer], config: Config, drain: asyncio.Event | None = None) -> None:
    """Run the timers until cancelled, inside the service's lifespan.

    After a cancellation no tick starts any more; runs in progress get GRACEFUL_SHUTDOWN_TIMEOUT seconds, then they are
    cancelled and awaited. If `drain` is set by then, they have no such limit. Without a Redis the process runs its
    timers without agreeing with others, and logs that.
    Raises ConfigError for two timers of the same name.
    """
    check_timers(timers)
    claims = _claims(config)
    executor = Executor(claims)
    try:
        async with asyncio.TaskGroup() as loops:
            for timer in timers:
                MISSED.inc(timer.name, amount=0)  # Prometheus sees no increase in a series that begins with 1
                loops.create_task(_Loop(timer, config.TIME_ZONE, claims, executor).run(), name=f"ticks of {timer.name}")
    finally:
        is_draining = drain is not None and drain.is_set()
        await executor.shutdown(None if is_draining else config.GRACEFUL_SHUTDOWN_TIMEOUT)


def _claims(config: Config) -> Claims:
    remedy = f"Set {config.env_prefix()}REDIS_URL before you run copies on several machines."
    try:
        redis = get_redis()
    except NotOpenError:
        logger.warning("No Redis is open: a second process would run every tick again.")
        return LocalClaims()
    if config.uses_embedded_redis:
        logger.info("Timers are coordinated through the embedded Valkey, on this machine only. %s", remedy)
    return RedisClaims(redis, config.SERVER_NAME)


class _Loop:
    """One timer in this process, which handles the ticks one by one, in order.

    `_seen` is the last tick that it has handled, `_known` the last one that it knows was claimed.
    """

    def __init__(self, timer: Timer, time_zone: str, claims: Claims, executor: Executor) -> None:
        self._timer = timer
        self._schedule = timer.schedule(time_zone)
        self._claims = claims
        self._executor = executor
        self._seen = self._known = 0
        self._catch_up = 0  # the missed tick that runs however late it is
        self._busy = False

    async def run(self) -> None:
        await self._join()
        if is_counting():
            PERIOD.set(longest_pause(self._schedule, _moment(self._seen)).total_seconds(), self._timer.name)
        while True:
            tick = self._after(self._seen)
            await self._claims.sleep_until(tick)
            claim = self._claim(tick)
            try:
                result = await self._claims.claim(claim)
            except RedisUnavailable:
                await asyncio.sleep(RETRY_DELAY)
            else:
                await self._handle(claim, result)

    async def _join(self) -> None:
        while not self._seen:
            try:
                self._seen = await self._claims.join(self._timer.name, self._life(self._claims.now()))
            except RedisUnavailable:
                await asyncio.sleep(RETRY_DELAY)

    async def _handle(self, claim: Claim, result: ClaimResult) -> None:
        match result.status:
            case ClaimStatus.CLAIMED:
                self._executor.submit(self._timer, claim, Tick(self._timer.name, _moment(claim.tick), result.fence))
                self._seen = self._known = claim.tick
            case ClaimStatus.TAKEN:
                self._seen = self._known = result.last
            case ClaimStatus.LATE:
                self._miss(claim.tick, result.now)
            case ClaimStatus.BUSY | ClaimStatus.SETTLING:
                self._busy = result.status is ClaimStatus.BUSY
                await asyncio.sleep(RETRY_DELAY)
            case ClaimStatus.EARLY:  # the answer has corrected the clock: sleep again
                await asyncio.sleep(0)

    def _miss(self, tick: int, now: int) -> None:
        """Skip the ticks that are too late; run the last of them when the timer's `misfire` is `once`."""
        reason = "the previous run was still in progress" if self._busy else "no copy could run it in time"
        self._busy = False
        if self._timer.misfire == "once":
            self._catch_up = _milliseconds(latest(self._schedule, _moment(now)))
            self._seen = self._catch_up - 1
            outcome = "is caught up by one run"
        else:
            self._seen = max(self._seen, now - self._grace())
            outcome = "is skipped"
        text = f"{self._timer.name}: the tick of {_moment(tick)} {outcome}: {reason}."
        logger.warning("%s", text)
        report_event("timer", self._timer.name, text)
        MISSED.inc(self._timer.name)

    def _claim(self, tick: int) -> Claim:
        return Claim(
            timer=self._timer.name,
            tick=tick,
            known=self._known,
            grace=FOREVER if tick == self._catch_up else self._grace(),
            exclusive=self._timer.overlap == "skip",
            life=self._life(tick),
        )

    def _grace(self) -> int:
        return int(self._timer.grace * 1000)

    def _life(self, tick: int) -> int:
        return self._after(tick) - tick + self._grace() + KEY_LIFE // MILLISECOND

    def _after(self, tick: int) -> int:
        return _milliseconds(self._schedule.after(_moment(tick)))


def _moment(milliseconds: int) -> datetime:
    return EPOCH + milliseconds * MILLISECOND


def _milliseconds(moment: datetime) -> int:
    return (moment.astimezone(UTC) - EPOCH) // MILLISECOND
