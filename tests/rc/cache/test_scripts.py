"""Single steps of the protocol, on a real server."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from sanicbase import get_redis
from sanicbase.rc.cache.scripts import BEAT, CLOSE
from tests.rc.conftest import Opened

KEYS = ["t:epoch", "t:server", "t:settling", "t:members"]


async def beat(redis: Redis, known: bytes, *, until: int | str, name: str) -> Any:
    return await redis.register_script(BEAT)(keys=KEYS, args=[known, "me", until, 0, 1000, 3000, 2000, name])


async def test_a_late_beat_keeps_nothing_alive(opened: Opened, redis_url: str) -> None:
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
