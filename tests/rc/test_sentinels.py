"""Behind Sentinels: another master is found without anybody's help, and what is wrong is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sanicbase import ResourceError, get_blocking_redis, get_redis
from sanicbase.rc import RedisClients
from sanicbase.rc.handshake import SENTINEL_TIMEOUT
from sanicbase.rc.subscriber import Subscriber
from sanicbase.testing import wait_until
from sanicbase.testing.private_server import PrivateServer
from tests.rc.conftest import Opened, ShopConfig
from tests.rc.kinds import SERVICE, Sentinels, role, url
from tests.rc.test_subscriber import RecordingSubscriber, until


class Load:
    """Callers who write all the time: every number of theirs is written once or more, none goes by unnoticed."""

    def __init__(self) -> None:
        self.written: set[int] = set()
        self.errors: list[Exception] = []
        self._next = 0

    async def write(self) -> None:
        while True:
            self._next += 1
            number = self._next
            try:
                await get_redis().set(f"load {number % 50}", number)
                self.written.add(number)
            except Exception as exc:
                self.errors.append(exc)
            await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self, callers: int = 20) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.write()) for _ in range(callers)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def goes_on(self) -> None:
        """Return when each caller has written once more and more."""
        before = len(self.written)
        await until(lambda: len(self.written) > before + 500)


async def test_a_demoted_master_keeps_no_clients(sentinels: Sentinels, opened: Opened) -> None:
    load = Load()
    async with opened(sentinels.url), load.running():
        await load.goes_on()
        old = sentinels.master()
        await asyncio.to_thread(sentinels.fail_over)
        await load.goes_on()
        assert sentinels.master() is not old
        assert [exc for exc in load.errors if not isinstance(exc, RedisError)] == []
        await asyncio.gather(*(get_redis().execute_command("PING") for _ in range(50)))
        assert await names_at(old) == 0
        assert await names_at(sentinels.master()) > 0


async def names_at_replicas(sentinels: Sentinels) -> int:
    """How many connections of the service there are to servers that are not the master, which may be the old one again:
    on a busy machine the Sentinels may take a master for dead that is only slow."""
    master = await asyncio.to_thread(sentinels.master)
    return sum([await names_at(server) for server in sentinels.servers if server is not master])


async def names_at(server: PrivateServer) -> int:
    """How many connections of the service that server has."""
    async with Redis.from_url(url(server)) as redis:
        return sum(client["name"] == "shop" for client in await redis.client_list())


@pytest.mark.parametrize("death", ["killed", "frozen"])
async def test_a_master_that_dies_has_a_successor(sentinels: Sentinels, opened: Opened, death: str) -> None:
    load = Load()
    old = sentinels.master()
    async with opened(sentinels.url, CONNECT_TIMEOUT=0.5), load.running():
        await load.goes_on()
        if death == "killed":
            await asyncio.to_thread(old.end)
            await until(lambda: sentinels.master() is not old)
            await load.goes_on()
            await asyncio.to_thread(old.restart)
        else:
            with old.frozen():
                await until(lambda: sentinels.master() is not old)
                await load.goes_on()
        assert [exc for exc in load.errors if not isinstance(exc, RedisError)] == []
        await asyncio.to_thread(sentinels.settled)
        async with asyncio.timeout(30):
            while await names_at_replicas(sentinels):  # a connection is checked when it is acquired: so acquire all
                await asyncio.gather(*(get_redis().execute_command("PING") for _ in range(50)))
        await load.goes_on()


async def test_a_command_s_next_try_goes_to_the_new_master(sentinels: Sentinels, opened: Opened) -> None:
    """redis-py's own goes to the address of the first one."""
    async with opened(sentinels.url):
        pool = get_redis().connection_pool
        connection = await pool.get_connection()
        await asyncio.to_thread(sentinels.fail_over)
        await connection.disconnect()  # as redis-py does between two tries
        await connection.send_command("ROLE")
        assert (await connection.read_response())[0] == b"master"
        await pool.release(connection)


async def test_a_blocking_command_waits_longer_than_the_timeout(sentinels: Sentinels, opened: Opened) -> None:
    async with opened(sentinels.url, CONNECT_TIMEOUT=1):
        waiting = asyncio.ensure_future(get_blocking_redis().blpop(["letters"], timeout=30))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 1.5)
        await get_redis().rpush("letters", "a")
        assert tuple(await waiting or ()) == (b"letters", b"a")


async def test_a_subscriber_follows_to_the_new_master_and_reports_lost_messages(
    sentinels: Sentinels, opened: Opened
) -> None:
    async with opened(sentinels.url):
        recording = RecordingSubscriber(get_redis())
        async with recording.subscriber as subscriber:
            await subscriber.subscribe("news")
            await get_redis().publish("news", "before")
            await until(lambda: recording.messages)
            await asyncio.to_thread(sentinels.fail_over)
            await until(lambda: recording.gaps)
            assert isinstance(subscriber, Subscriber)
            async with asyncio.timeout(30):  # the subscriber may have met the old master once more
                while not await get_redis().publish("news", "after"):
                    await asyncio.sleep(0.05)
            await until(lambda: recording.messages[-1] == ("news", b"after"))


@asynccontextmanager
async def clients(given: str) -> AsyncIterator[RedisClients]:
    async with RedisClients(ShopConfig(REDIS_URL=given, CONNECT_TIMEOUT=2), "") as opened:
        yield opened


async def test_sentinels_may_all_be_slow(sentinels: Sentinels) -> None:
    async with RedisClients(ShopConfig(REDIS_URL=sentinels.url, CONNECT_TIMEOUT=10), "") as opened:
        with ExitStack() as freezing:
            for server in sentinels.sentinels:
                freezing.enter_context(server.frozen())
            ping = asyncio.create_task(opened.ping())
            await asyncio.sleep(2 * SENTINEL_TIMEOUT)
            assert not ping.done()
        await ping
    await until(lambda: role(sentinels.master()) == "master")


async def test_one_sentinel_that_is_away_is_a_line_in_the_log(
    sentinels: Sentinels, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sanicbase.rc")
    async with clients(sentinels.url) as opened:
        first = sentinels.sentinels[0]
        first.end()
        try:
            for _ in range(2):
                await opened.ping()
        finally:
            first.restart()
        await opened.ping()
    lines = [record.getMessage() for record in caplog.records if "Sentinels" in record.getMessage()]
    assert [f"the Sentinels 127.0.0.1:{first.port} do not answer" in line for line in lines] == [True, False]
    wait_until(lambda: sentinels.master() in sentinels.servers, 10, what="the Sentinel")
    await until(lambda: role(sentinels.master()) == "master")  # which another one may become on a busy machine


async def test_connection_failures_are_error_messages(sentinels: Sentinels, redis_url: str) -> None:
    nobody = "redis+sentinel://u:s3cret@127.0.0.1:1,127.0.0.1:2/mymaster?sentinel_password=s3cret"
    shown = r"^The Redis redis\+sentinel://u:\*\*\*@127.0.0.1:1,127.0.0.1:2/mymaster\?\*\*\* "
    async with clients(nobody) as opened:
        with pytest.raises(
            ResourceError, match=shown + r"does not answer: none of its Sentinels does\. .*SHOP_REDIS_URL"
        ):
            await opened.ping()
    async with clients(sentinels.url.replace(SERVICE, "stranger")) as opened:
        with pytest.raises(
            ResourceError, match="has no master: its Sentinels report 'stranger' as down, or do not know it"
        ):
            await opened.ping()
    async with clients(f"redis+sentinel://{redis_url.split('/')[2]}/mymaster") as opened:
        with pytest.raises(ResourceError, match=r"refuses the connection \(unknown command 'SENTINEL'"):
            await opened.ping()
