"""run_timers: each timer's loop, from one tick to the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sanicbase.config import Config
from sanicbase.errors import NotOpenError
from sanicbase.jobs.alone import LocalTicks
from sanicbase.jobs.runs import Runs
from sanicbase.jobs.schedule import EPOCH, MILLISECOND, latest
from sanicbase.jobs.ticks import FOREVER, Answer, Away, Claim, RedisTicks, Ticks, Verdict
from sanicbase.jobs.timer import Tick, Timer, check_timers
from sanicbase.rc import get_redis

__all__ = ["run_timers"]

logger = logging.getLogger("sanicbase.jobs")

REMEMBERED = timedelta(days=7)  # how long after its next tick a timer is forgotten that no copy runs any more
ASK_AGAIN = 0.1  # seconds until a claim is repeated that was neither granted nor refused


async def run_timers(timers: Sequence[Timer], config: Config) -> None:
    """Run the timers until cancelled, inside the service's lifespan.

    When cancelled no tick is started any more; runs in progress get GRACEFUL_SHUTDOWN_TIMEOUT seconds, then they are
    cancelled and awaited. Outside a lifespan the process runs its timers alone, and says so. Raises ConfigError for
    two timers of one name.
    """
    check_timers(timers)
    ticks = _ticks(config)
    runs = Runs(ticks)
    try:
        async with asyncio.TaskGroup() as loops:
            for timer in timers:
                loops.create_task(_Loop(timer, config.TIME_ZONE, ticks, runs).run(), name=f"ticks of {timer.name}")
    finally:
        await runs.finish(config.GRACEFUL_SHUTDOWN_TIMEOUT)


def _ticks(config: Config) -> Ticks:
    remedy = f"Set {config.env_prefix()}REDIS_URL before you run copies on several machines."
    try:
        redis = get_redis()
    except NotOpenError:
        logger.warning("No Redis is open: this process is alone, and a second one would run every tick again.")
        return LocalTicks()
    if config.uses_embedded_redis:
        logger.info("Timers agree through the project's own Valkey: this machine is alone. %s", remedy)
    return RedisTicks(redis, config.SERVER_NAME)


class _Loop:
    """One timer in this process: it looks at the ticks one by one, in order.

    `_seen` is the tick up to which it has looked, `_known` the last one of which it knows that it was claimed.
    """

    def __init__(self, timer: Timer, time_zone: str, ticks: Ticks, runs: Runs) -> None:
        self._timer = timer
        self._schedule = timer.schedule(time_zone)
        self._ticks = ticks
        self._runs = runs
        self._seen = self._known = 0
        self._made_up = 0  # the missed tick that is run however late it is
        self._busy = False

    async def run(self) -> None:
        await self._join()
        while True:
            tick = self._after(self._seen)
            await self._ticks.sleep_until(tick)
            claim = self._claim(tick)
            try:
                answer = await self._ticks.claim(claim)
            except Away:
                await asyncio.sleep(ASK_AGAIN)
            else:
                await self._act(claim, answer)

    async def _join(self) -> None:
        while not self._seen:
            try:
                self._seen = await self._ticks.join(self._timer.name, self._life(self._ticks.now()))
            except Away:
                await asyncio.sleep(ASK_AGAIN)

    async def _act(self, claim: Claim, answer: Answer) -> None:
        match answer.verdict:
            case Verdict.CLAIMED:
                self._runs.start(self._timer, claim, Tick(self._timer.name, _moment(claim.tick), answer.fence))
                self._seen = self._known = claim.tick
            case Verdict.TAKEN:
                self._seen = self._known = answer.last
            case Verdict.LATE:
                self._miss(claim.tick, answer.now)
            case Verdict.BUSY | Verdict.SETTLING:
                self._busy = answer.verdict is Verdict.BUSY
                await asyncio.sleep(ASK_AGAIN)
            case Verdict.EARLY:  # the clock has learned from the answer how long there is still to sleep
                await asyncio.sleep(0)

    def _miss(self, tick: int, now: int) -> None:
        """Pass over what is too late to start; make up for the last of it where the timer wants that."""
        why = "the run before it went on" if self._busy else "no copy could run it in time"
        self._busy = False
        if self._timer.misfire == "once":
            self._made_up = _milliseconds(latest(self._schedule, _moment(now)))
            self._seen = self._made_up - 1
            what = "is made up for by one run"
        else:
            self._seen = max(self._seen, now - self._grace())
            what = "is skipped"
        logger.warning("%s: the tick of %s %s: %s.", self._timer.name, _moment(tick), what, why)

    def _claim(self, tick: int) -> Claim:
        return Claim(
            timer=self._timer.name,
            tick=tick,
            known=self._known,
            grace=FOREVER if tick == self._made_up else self._grace(),
            exclusive=self._timer.overlap == "skip",
            life=self._life(tick),
        )

    def _grace(self) -> int:
        return int(self._timer.grace * 1000)

    def _life(self, tick: int) -> int:
        return self._after(tick) - tick + self._grace() + REMEMBERED // MILLISECOND

    def _after(self, tick: int) -> int:
        return _milliseconds(self._schedule.after(_moment(tick)))


def _moment(milliseconds: int) -> datetime:
    return EPOCH + milliseconds * MILLISECOND


def _milliseconds(moment: datetime) -> int:
    return (moment.astimezone(UTC) - EPOCH) // MILLISECOND
