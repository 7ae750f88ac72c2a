"""Single steps of the protocol, on a real server."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from sanicbase import get_redis
from sanicbase.cache.scripts import CLOSE, HEARTBEAT, LEASE, OPEN, SHAPES
from tests.rc.conftest import Opened

KEYS = ["t:epoch", "t:server", "t:settling", "t:members"]


async def beat(redis: Redis, known: bytes, *, until: int | str, name: str) -> Any:
    return await redis.register_script(HEARTBEAT)(keys=KEYS, args=[known, "me", until, 0, 1000, 3000, 2000, name])


async def test_a_late_heartbeat_does_not_extend_the_epoch(opened: Opened, redis_url: str) -> None:
    async with opened(redis_url):
        redis = get_redis()
        epoch, _, at = await beat(redis, b"", until="", name="aaaaaaaa")
        await redis.pexpire(KEYS[0], 500)
        assert (await beat(redis, epoch, until=at - 1, name="bbbbbbbb"))[0] == b""
        assert await redis.pttl(KEYS[0]) <= 500


async def test_another_server_ends_the_epoch_also_when_its_clock_is_ahead(opened: Opened, redis_url: str) -> None:
    async with opened(redis_url):
        redis = get_redis()
        epoch, _, at = await beat(redis, b"", until="", name="aaaaaaaa")
        await redis.set(KEYS[1], "the one before")
        after, settling, _ = await beat(redis, epoch, until=at - 60_000, name="bbbbbbbb")
        assert after not in (epoch, b"")
        assert settling


@pytest.mark.parametrize("second", [100, 60_000])
async def test_a_closing_is_not_shortened_by_another(opened: Opened, redis_url: str, second: int) -> None:
    async with opened(redis_url):
        redis = get_redis()
        close = redis.register_script(CLOSE)
        for token, life in (("first", 20_000), ("second", second)):
            await close(keys=["t:generation"], args=["t:", token, life, "k:1"])
        assert await redis.pttl("t:c:k:1") > 19_000
        assert await redis.zcard("t:c:k:1") == 2


async def test_a_new_epoch_settles_for_as_long_as_what_may_be_lost_takes(opened: Opened, redis_url: str) -> None:
    async with opened(redis_url):
        redis = get_redis()
        epoch, _, _ = await beat(redis, b"", until="", name="aaaaaaaa")
        await redis.delete(KEYS[2], KEYS[0])  # it was settled, and then nobody beat
        after, settling, _ = await beat(redis, epoch, until="", name="bbbbbbbb")
        assert after == b"xbbbbbbbb"
        assert settling
        assert 1000 < await redis.pttl(KEYS[2]) <= 2000  # a commit
        await redis.delete(*KEYS)
        assert (await beat(redis, after, until="", name="cccccccc"))[0] == b"ecccccccc"
        assert 2000 < await redis.pttl(KEYS[2]) <= 3000  # a closing
        await redis.delete(KEYS[0])
        assert (await beat(redis, after, until="", name="dddddddd"))[0] == b"xdddddddd"
        assert 2000 < await redis.pttl(KEYS[2]) <= 3000  # which nothing shortens


async def test_the_process_after_one_that_was_killed_settles_for_a_commit(opened: Opened, redis_url: str) -> None:
    async with opened(redis_url):
        redis = get_redis()
        await beat(redis, b"", until="", name="aaaaaaaa")
        await redis.delete(KEYS[2], KEYS[0])
        assert (await beat(redis, b"", until="", name="bbbbbbbb"))[0] == b"xbbbbbbbb"
        assert await redis.pttl(KEYS[2]) <= 2000


async def test_a_late_close_after_the_next_opening_closes_nothing(opened: Opened, redis_url: str) -> None:
    async with opened(redis_url):
        redis = get_redis()
        close, open_ = redis.register_script(CLOSE), redis.register_script(OPEN)
        await open_(keys=["t:generation"], args=["t:", 20_000, "late", "k:1", 1, "usual", "k:1", 0])
        for token, closes in (("late", 0), ("usual", 1)):
            assert await close(keys=["t:generation"], args=["t:", token, 20_000, "k:1"]) == closes


async def test_a_generation_has_a_bounded_number_of_shapes(opened: Opened, redis_url: str) -> None:
    async with opened(redis_url):
        redis = get_redis()
        lease = redis.register_script(LEASE)
        await redis.set("t:epoch", "m12345678")
        names = []
        for number in range(SHAPES + 1):
            args: list[str | int] = [
                "t:",
                "m12345678",
                f"{number:08x}",
                f"name{number:04d}",
                "lease",
                0,
                1000,
                "k:1",
                1,
            ]
            names.append((await lease(keys=["t:epoch", "t:generation", "t:settling"], args=args))[0])
        assert names == [b"name0000"] * SHAPES + [f"name{SHAPES:04d}".encode()]
        assert await redis.get("t:generation") == f"name{SHAPES:04d}|{SHAPES:08x}".encode()
