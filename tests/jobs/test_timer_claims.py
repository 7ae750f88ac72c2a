"""Claims: one copy gets a tick, by Redis' clock, whatever became of the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from sanicbase.jobs import redis_claims
from sanicbase.jobs.claims import FOREVER, Claim, ClaimStatus, RedisUnavailable
from sanicbase.jobs.redis_claims import LEASE, RedisClaims, RedisClock

KEY = "shop:timer:refresh"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_claims, "SETTLING", 300)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def now(redis: Redis) -> int:
    seconds, micros = await redis.time()
    return int(seconds * 1000 + micros // 1000)


@pytest.fixture
async def claim(redis: Redis) -> Claim:
    """A tick that came due a tenth of a second ago, of a timer that Redis knows since yesterday."""
    moment = await now(redis) - 100
    await redis.hset(KEY, mapping={"tick": moment - 5000, "since": moment - 86_400_000})
    return Claim("refresh", tick=moment, known=0, grace=10_000, exclusive=True, life=60_000)


@pytest.fixture
def copies(redis: Redis) -> list[RedisClaims]:
    return [RedisClaims(redis, "shop") for _ in range(5)]


async def test_one_of_many_copies_gets_the_tick(copies: list[RedisClaims], claim: Claim) -> None:
    answers = await asyncio.gather(*(copy.claim(claim) for copy in copies))
    assert sorted(answer.status for answer in answers) == [ClaimStatus.CLAIMED] + [ClaimStatus.TAKEN] * 4
    assert {answer.last for answer in answers} == {claim.tick}


async def test_an_older_tick_cannot_be_claimed(copies: list[RedisClaims], claim: Claim) -> None:
    assert (await copies[0].claim(claim)).status is ClaimStatus.CLAIMED
    older = replace(claim, tick=claim.tick - 1, grace=FOREVER)
    for copy in copies:
        assert (await copy.claim(older)).status is ClaimStatus.TAKEN


async def test_a_lost_response_can_be_requested_again(copies: list[RedisClaims], claim: Claim) -> None:
    first, again = [await copies[0].claim(claim) for _ in range(2)]
    assert (again.status, again.fence) == (ClaimStatus.CLAIMED, first.fence)


async def test_early_and_late_are_decided_by_the_clock_of_redis(
    copies: list[RedisClaims], claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert (await copies[0].claim(replace(claim, tick=claim.tick + 5000))).status is ClaimStatus.EARLY
    assert (await copies[0].claim(replace(claim, tick=claim.tick - 3000, grace=2000))).status is ClaimStatus.LATE
    assert (await copies[0].claim(claim)).status is ClaimStatus.CLAIMED
    assert abs(copies[0].now() - claim.tick) < 5000


async def test_fences_grow_with_each_run_over_an_emptied_redis_too(
    redis: Redis, copies: list[RedisClaims], claim: Claim
) -> None:
    first = await copies[0].claim(claim)
    assert await copies[0].update_lease(claim, first.fence, done=True)
    second = await copies[1].claim(replace(claim, tick=claim.tick + 1))
    await redis.flushdb()
    while (moment := await now(redis)) <= second.fence:
        pass  # it comes back empty later than in the same millisecond
    await redis.hset(KEY, mapping={"tick": 0, "since": moment - 86_400_000})
    third = await copies[2].claim(replace(claim, tick=moment))
    assert first.fence < second.fence < third.fence


async def test_a_run_holds_the_timer_until_it_is_done(copies: list[RedisClaims], claim: Claim) -> None:
    run = await copies[0].claim(claim)
    following = replace(claim, tick=claim.tick + 1)
    assert (await copies[1].claim(following)).status is ClaimStatus.BUSY
    assert await copies[0].update_lease(claim, run.fence, done=False)
    assert (await copies[1].claim(following)).status is ClaimStatus.BUSY
    assert await copies[0].update_lease(claim, run.fence, done=True)
    assert (await copies[1].claim(following)).status is ClaimStatus.CLAIMED


async def test_runs_may_overlap_where_the_timer_allows_it(copies: list[RedisClaims], claim: Claim) -> None:
    both = replace(claim, exclusive=False)
    assert (await copies[0].claim(both)).status is ClaimStatus.CLAIMED
    assert (await copies[1].claim(replace(both, tick=claim.tick + 1))).status is ClaimStatus.CLAIMED


async def test_a_run_that_lost_its_lease_learns_of_the_later_run(
    redis: Redis, copies: list[RedisClaims], claim: Claim
) -> None:
    run = await copies[0].claim(claim)
    assert 0 < int(await redis.hget(KEY, "busy") or 0) - await now(redis) <= LEASE
    await redis.hset(KEY, "busy", 0)  # as it is when the lease has run out
    assert await copies[0].update_lease(claim, run.fence, done=False), "nobody took its place"
    await redis.hset(KEY, "busy", 0)
    assert (await copies[1].claim(replace(claim, tick=claim.tick + 1))).status is ClaimStatus.CLAIMED
    assert not await copies[0].update_lease(claim, run.fence, done=False)
    assert not await copies[0].update_lease(claim, run.fence, done=True)
    assert (await copies[2].claim(replace(claim, tick=claim.tick + 2))).status is ClaimStatus.BUSY


class StoppedOnce(RedisClaims):
    """A copy that is stopped after Redis has answered it, and continues a while later."""

    async def _call(self, script: str, timer: str, *args: str | int) -> list[Any]:
        answer = await super()._call(script, timer, *args)
        if self.stopped < 1:
            self.stopped += 1
            await asyncio.sleep(1.1)  # longer than the grace, by the clock of Redis
        return answer

    stopped = 0


@pytest.mark.parametrize(("grace", "verdict"), [(10_000, ClaimStatus.CLAIMED), (1000, ClaimStatus.LATE)])
async def test_a_copy_that_was_stopped_asks_again_before_it_runs(
    redis: Redis, claim: Claim, grace: int, verdict: ClaimStatus
) -> None:
    answer = await StoppedOnce(redis, "shop").claim(replace(claim, grace=grace))
    assert answer.status is verdict


async def test_a_copy_that_was_stopped_finds_a_later_tick_taken(
    redis: Redis, copies: list[RedisClaims], claim: Claim
) -> None:
    stopped = asyncio.ensure_future(StoppedOnce(redis, "shop").claim(replace(claim, exclusive=False)))
    while int(await redis.hget(KEY, "tick") or 0) != claim.tick:
        await asyncio.sleep(0.001)
    assert (await copies[1].claim(replace(claim, tick=claim.tick + 1))).status is ClaimStatus.CLAIMED
    assert (await stopped).status is ClaimStatus.TAKEN


async def test_an_emptied_redis_learns_from_the_living_copies(
    redis: Redis, copies: list[RedisClaims], claim: Claim
) -> None:
    run = await copies[0].claim(claim)
    await redis.flushdb()
    slow = [await copies[1].claim(claim)]
    assert slow[0].status is ClaimStatus.SETTLING
    assert await copies[0].update_lease(claim, run.fence, done=True)
    assert (await copies[1].claim(claim)).status is ClaimStatus.TAKEN, "what has been run is not run again"
    following = replace(claim, tick=claim.tick + 1, known=claim.tick)
    while (answer := await copies[1].claim(following)).status is ClaimStatus.SETTLING:
        await asyncio.sleep(0.01)
    assert answer.status is ClaimStatus.CLAIMED
    assert answer.now - int(await redis.hget(KEY, "since") or 0) >= redis_claims.SETTLING


async def test_an_emptied_redis_learns_from_a_copy_that_saw_the_tick_taken(
    redis: Redis, copies: list[RedisClaims], claim: Claim
) -> None:
    await redis.delete(KEY)
    await copies[0].claim(replace(claim, tick=claim.tick + 1, known=claim.tick))
    assert (await copies[1].claim(claim)).status is ClaimStatus.TAKEN


async def test_a_new_copy_continues_from_the_last_tick(redis: Redis, copies: list[RedisClaims], claim: Claim) -> None:
    await copies[0].claim(claim)
    assert await copies[1].join("refresh", 60_000) == claim.tick
    before = await now(redis)
    began = await copies[1].join("another", 60_000)
    assert before <= began <= await now(redis) - redis_claims.SETTLING
    assert await copies[2].join("another", 60_000) == began


async def test_a_new_copy_listens_first_to_those_that_know_more(
    redis: Redis, copies: list[RedisClaims], claim: Claim
) -> None:
    await redis.flushdb()
    joining = asyncio.ensure_future(copies[0].join("refresh", 60_000))
    while not await redis.exists(KEY):
        await asyncio.sleep(0.001)
    assert (await copies[1].claim(replace(claim, known=claim.tick - 1))).status is ClaimStatus.SETTLING
    assert await joining == claim.tick - 1


async def test_the_key_of_an_unused_timer_expires(redis: Redis, copies: list[RedisClaims], claim: Claim) -> None:
    await copies[0].join("another", 5000)
    await copies[0].claim(claim)
    assert 0 < await redis.pttl("shop:timer:another") <= 5000
    assert 5000 < await redis.pttl(KEY) <= 60_000
    await redis.delete(KEY)
    await copies[0].update_lease(claim, 1, done=True)
    assert 5000 < await redis.pttl(KEY) <= 60_000


async def test_a_clock_set_back_neither_repeats_ticks_nor_stays_busy(
    redis: Redis, copies: list[RedisClaims], claim: Claim
) -> None:
    ahead = claim.tick + 3_600_000
    await redis.hset(KEY, mapping={"busy": ahead, "since": ahead, "fence": ahead})
    answer = await copies[0].claim(claim)
    assert (answer.status, answer.fence) == (ClaimStatus.CLAIMED, ahead + 1)
    await redis.hset(KEY, "tick", ahead)
    assert (await copies[1].claim(replace(claim, tick=claim.tick + 1))).status is ClaimStatus.TAKEN


async def test_an_unresponsive_server_is_unavailable_and_logged_once(
    redis: Redis, claim: Claim, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "sanicbase.jobs")
    monkeypatch.setattr(redis_claims, "TIMEOUT", 0.1)
    copy = RedisClaims(redis, "shop")
    await redis.client_pause(300, all=True)
    for _ in range(2):
        with pytest.raises(RedisUnavailable):
            await copy.claim(claim)
    monkeypatch.setattr(redis_claims, "TIMEOUT", 10.0)
    assert (await copy.claim(claim)).status is ClaimStatus.CLAIMED
    messages = [record.message for record in caplog.records if record.name == "sanicbase.jobs"]
    assert messages == [
        "Redis is unavailable (TimeoutError()): no timer runs until it answers.",
        "Redis is available again: timers run.",
    ]


def test_slow_answers_do_not_spoil_the_clock() -> None:
    clock = RedisClock()
    clock.learn(1_000_000, sent=10, received=10)
    clock.learn(5_000_000, sent=10, received=12)
    assert clock.now() < 5_000_000 + (time.monotonic() - 11) * 1000
    ahead = clock.now() - time.monotonic() * 1000
    assert ahead == pytest.approx(990_000, abs=2)
