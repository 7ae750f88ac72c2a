"""A Cluster: what is away is said, and messages reach subscribers on any node."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import RedisClusterException, RedisError

from sanicbase import ResourceError, get_redis_cluster
from sanicbase.rc import RedisClients
from sanicbase.testing import wait_until
from tests.rc.conftest import Opened, ShopConfig
from tests.rc.kinds import Cluster
from tests.rc.test_subscriber import RecordingSubscriber, until


async def test_a_node_that_is_away_is_named_until_it_is_back(cluster: Cluster) -> None:
    node = cluster.nodes[1]
    async with RedisClients(ShopConfig(REDIS_URL=cluster.url, CONNECT_TIMEOUT=3), "") as opened:
        await opened.ping()
        node.end()
        try:
            with pytest.raises(ResourceError, match=rf"127.0.0.1:{node.port} of its 3 primaries .* SHOP_REDIS_URL"):
                await opened.ping()
        finally:
            node.restart()
        await until_well(opened)


async def until_well(opened: RedisClients) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await opened.ping()
            except ResourceError:
                await asyncio.sleep(0.05)


async def test_a_server_that_is_not_a_cluster_is_an_error_message(redis_url: str) -> None:
    single = redis_url.replace("redis://", "redis+cluster://")
    async with RedisClients(ShopConfig(REDIS_URL=single, CONNECT_TIMEOUT=3), "") as opened:
        with pytest.raises(ResourceError, match="Cluster mode is not enabled on this node"):
            await opened.ping()


async def test_a_whole_cluster_that_is_away_says_so() -> None:
    async with RedisClients(ShopConfig(REDIS_URL="redis+cluster://:s3cret@127.0.0.1:1,127.0.0.1:2"), "") as opened:
        with pytest.raises(ResourceError, match=r"redis\+cluster://:\*\*\*@127.0.0.1:1,127.0.0.1:2 cannot be used"):
            await opened.ping()


async def test_a_subscriber_receives_messages_of_every_node(cluster: Cluster, opened: Opened) -> None:
    async with opened(cluster.url):
        recording = RecordingSubscriber(get_redis_cluster())
        async with recording.subscriber as subscriber:
            await subscriber.subscribe("news")
            names = {node.name.encode() for node in get_redis_cluster().get_primaries()}
            async with asyncio.timeout(20):
                while {data for _, data in recording.messages} != names:  # new nodes may not pass it on yet
                    for node in get_redis_cluster().get_primaries():
                        await get_redis_cluster().execute_command("PUBLISH", "news", node.name, target_nodes=node)
                    await asyncio.sleep(0.05)
            assert {channel for channel, _ in recording.messages} == {"news"}


async def test_callers_recover_when_a_node_is_back(cluster: Cluster, opened: Opened) -> None:
    """Meanwhile they have redis-py's errors and no others, and the keys of the other nodes answer all the time or
    again."""
    errors: list[Exception] = []
    written: set[int] = set()

    async def write(number: int) -> None:
        while True:
            try:
                await get_redis_cluster().set(f"key {number}", number)
                written.add(number)
            except Exception as exc:
                errors.append(exc)
            await asyncio.sleep(0)

    async with opened(cluster.url):
        writers = [asyncio.create_task(write(number)) for number in range(30)]
        await until(lambda: len(written) == 30)
        cluster.nodes[0].end()
        await until(lambda: errors)
        await asyncio.to_thread(cluster.nodes[0].restart)
        await asyncio.to_thread(wait_until, cluster.whole, 30, what="the Cluster")
        written.clear()
        await until(lambda: len(written) == 30)
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
    assert {type(exc) for exc in errors if not isinstance(exc, RedisError | RedisClusterException)} == set()
