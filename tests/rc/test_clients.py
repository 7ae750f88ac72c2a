"""Named clients: bounded, waiting, retrying, and a pool apart for commands that block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from sanicbase import Config, NotOpenError, ResourceError, get_blocking_redis, get_redis, lifespan
from tests.rc.kinds import server, url


class ShopConfig(Config):
    SERVER_NAME = "shop"


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> AsyncIterator[None]:
    monkeypatch.chdir(tmp_path)
    config = ShopConfig(
        REDIS_URL=redis_url, REDIS_CONNECTIONS={"locks": redis_url}, REDIS_POOL_SIZE=2, CONNECT_TIMEOUT=0.5
    )
    async with lifespan(config):
        yield


@pytest.mark.usefixtures("opened")
class TestClients:
    async def test_each_connection_has_its_name(self) -> None:
        assert get_redis() is not get_redis("locks")
        with pytest.raises(NotOpenError, match=r"No Redis is named 'nope'\. REDIS_CONNECTIONS has default, locks"):
            get_redis("nope")

    async def test_a_caller_waits_for_a_free_connection(self) -> None:
        redis = get_redis()
        replies = await asyncio.gather(*(redis.incr("n") for _ in range(100)))
        assert sorted(replies) == list(range(1, 101))
        assert int((await redis.info("clients"))["connected_clients"]) <= 2 * 4

    async def test_waiting_for_a_connection_times_out(self) -> None:
        redis = get_blocking_redis()
        waiting = [asyncio.ensure_future(redis.blpop(["nothing"], timeout=30)) for _ in range(2)]
        while int((await get_redis().info("clients"))["blocked_clients"]) < len(waiting):
            await asyncio.sleep(0.001)
        try:
            with pytest.raises(RedisConnectionError, match="No connection available"):
                await redis.ping()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def test_a_blocking_command_outlasts_the_timeout_and_blocks_no_other_command(self) -> None:
        waiting = asyncio.ensure_future(get_blocking_redis().blpop(["letters"], timeout=30))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 1.0)
        await get_redis().rpush("letters", "a")
        assert tuple(await waiting or ()) == (b"letters", b"a")

    async def test_a_cut_connection_is_reopened(self) -> None:
        redis = get_redis()
        number = await redis.client_id()
        await get_redis("locks").client_kill_filter(_id=str(number))
        assert await redis.ping()


async def test_a_refused_password_is_sent_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten attempts could last longer than CONNECT_TIMEOUT, and the error would be that nobody answers."""
    monkeypatch.chdir(tmp_path)
    with server() as private:
        wrong = url(private).replace("redis://", "redis://nobody:geheim@")
        with pytest.raises(ResourceError, match="refuses the password"):
            async with lifespan(ShopConfig(REDIS_URL=wrong)):
                raise AssertionError("open")
        async with Redis.from_url(url(private)) as redis:
            assert (await redis.info("errorstats"))["errorstat_WRONGPASS"]["count"] == 1


@asynccontextmanager
async def recording(redis_url: str) -> AsyncIterator[tuple[str, bytearray]]:
    """The address of a proxy in front of a Redis, and what its clients send."""
    target, sent = urlsplit(redis_url), bytearray()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                record += data
                writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, requests = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(carry(reader, requests, sent), carry(upstream, writer, bytearray()))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield target._replace(netloc=f"127.0.0.1:{port}").geturl(), sent


async def test_a_new_connection_does_not_ask_for_notifications_of_redis_enterprise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    """Other servers refuse the command, after a round trip."""
    monkeypatch.chdir(tmp_path)
    async with recording(redis_url) as (proxy, sent):
        async with lifespan(ShopConfig(REDIS_URL=proxy)):
            await get_redis().ping()
        assert b"HELLO" in sent
        assert b"MAINT_NOTIFICATIONS" not in sent
        async with Redis.from_url(proxy) as plain:
            await plain.ping()
        assert b"MAINT_NOTIFICATIONS" in sent
