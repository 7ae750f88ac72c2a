"""Each kind of Redis: opened, asked, kept in step through cancellations."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import WatchError

from sanicbase import NotOpenError, get_blocking_redis, get_redis, get_redis_cluster
from tests.rc.conftest import Opened
from tests.rc.kinds import Cluster

KINDS = ["redis", "unix", "tls", "sentinels", "cluster"]
KEYS = 200


def client(url: str) -> Any:
    """What has the methods of both; redis-py types them apart."""
    return get_redis_cluster() if "+cluster" in url else get_redis()


@pytest.mark.parametrize("any_url", [*KINDS, "tls_sentinel", "tls_cluster"], indirect=True)
async def test_every_kind_answers(any_url: str, opened: Opened) -> None:
    async with opened(any_url):
        assert isinstance(client(any_url), RedisCluster if "+cluster" in any_url else Redis)
        await client(any_url).set("key", "value")
        assert await client(any_url).get("key") == b"value"


async def ask(redis: Any, key: str, method: str) -> None:
    """One command, one pipeline or one transaction, whose answers are the key's own."""
    if method == "command":
        assert await redis.get(key) == key.encode()
        return
    async with redis.pipeline(transaction=method != "pipeline") as pipe:
        if method == "watched":
            await pipe.watch(key)
            pipe.multi()
        pipe.get(key)
        pipe.strlen(key)
        assert await pipe.execute() == [key.encode(), len(key)]


@pytest.mark.parametrize("method", ["command", "pipeline", "transaction", "watched"])
@pytest.mark.parametrize("any_url", KINDS, indirect=True)
async def test_cancelled_callers_leave_every_connection_in_step(any_url: str, method: str, opened: Opened) -> None:
    chance = random.Random(method + any_url.split("://")[0])
    async with opened(any_url):
        redis = client(any_url)
        keys = [f"key {number} {'x' * (number % 50)}" for number in range(KEYS)]
        await asyncio.gather(*(redis.set(key, key) for key in keys))
        tasks = [asyncio.create_task(ask(redis, key, method)) for key in keys]
        waiting = chance.sample(tasks, KEYS // 2)
        while waiting:
            for _ in range(chance.randrange(8)):
                await asyncio.sleep(0)
            waiting.pop().cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [end for end in ends if end is not None and not isinstance(end, asyncio.CancelledError)] == []
        assert ends.count(None) >= KEYS // 2
        for key in keys:  # more often than there are connections
            assert await redis.get(key) == key.encode()
        await asyncio.gather(*(ask(redis, key, method) for key in keys))


@pytest.mark.parametrize("any_url", KINDS, indirect=True)
async def test_a_caller_that_is_cancelled_knows_it(any_url: str, opened: Opened) -> None:
    async with opened(any_url, REDIS_POOL_SIZE=2):
        redis = client(any_url)

        async def ask_until_cancelled(name: str) -> None:
            while True:
                assert await redis.get(name) == name.encode()

        for number in range(100):
            await redis.set(str(number), str(number))
            asking = [asyncio.create_task(ask_until_cancelled(str(number))) for _ in range(2)]
            for _ in range(number % 13):
                await asyncio.sleep(0)
            for task in asking:
                task.cancel()
            _, pending = await asyncio.wait(asking, timeout=2)
            assert not pending
            assert all(task.cancelled() for task in asking)


@pytest.mark.parametrize("any_url", ["sentinels", "cluster"], indirect=True)
async def test_a_pool_s_bound_makes_callers_wait(any_url: str, opened: Opened) -> None:
    async with opened(any_url, REDIS_POOL_SIZE=2):
        redis = client(any_url)
        assert max(await asyncio.gather(*(redis.incr("n") for _ in range(300)))) == 300
        lists = await redis.client_list()
        named = lists if isinstance(lists, list) else [client for node in lists.values() for client in node]
        assert sum(client["name"] == "shop" for client in named) <= (12 if "+cluster" in any_url else 4)
        await redis.delete("n")


async def test_a_watched_transaction_of_a_cluster_notices_a_change(cluster: Cluster, opened: Opened) -> None:
    async with opened(cluster.url, REDIS_POOL_SIZE=2):
        redis = get_redis_cluster()
        for _ in range(5):  # more often than there are turns
            async with redis.pipeline(transaction=True) as pipe:
                await pipe.watch("key")
                await redis.set("key", "changed")
                pipe.multi()
                pipe.get("key")
                with pytest.raises(WatchError):
                    await pipe.execute()


async def test_each_kind_names_the_other_one(cluster: Cluster, redis_url: str, opened: Opened) -> None:
    async with opened(redis_url, REDIS_CONNECTIONS={"wide": cluster.url}):
        with pytest.raises(NotOpenError, match=r"'wide' is a Cluster\. Use get_redis_cluster\('wide'\)"):
            get_redis("wide")
        with pytest.raises(NotOpenError, match=r"'wide' is a Cluster\. Use get_redis_cluster\('wide'\)"):
            get_blocking_redis("wide")
        with pytest.raises(NotOpenError, match=r"'default' is not a Cluster\. Use get_redis\('default'\)"):
            get_redis_cluster()
        with pytest.raises(NotOpenError, match=r"No Redis is named 'nope'\. REDIS_CONNECTIONS has default, wide"):
            get_redis_cluster("nope")
