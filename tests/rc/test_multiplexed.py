"""One connection for many callers: each gets its own answer, whatever happens to the others and to the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError

from sanicbase import get_redis
from sanicbase.rc.clients import low_timeout_redis
from sanicbase.rc.multiplexed import MultiplexedConnection, pack
from sanicbase.testing.private_server import PrivateServer
from tests.rc import kinds
from tests.rc.conftest import Opened
from tests.rc.test_subscriber import until


class Shared(MultiplexedConnection):
    """One that can be awaited."""

    def ask(self, *command: str | int) -> Awaitable[Any]:
        future = asyncio.get_running_loop().create_future()
        self.send(pack(*command), lambda response: None if future.done() else future.set_result(response))
        return future


class Forgetful(Shared):
    """The control: a caller that does not wait any longer is forgotten, and the connection kept."""

    def abort(self, error: Exception) -> None:
        while self._unanswered:
            self._unanswered.popleft()(error)


@asynccontextmanager
async def shared(kind: type[Shared] = Shared, **options: Any) -> AsyncIterator[Shared]:
    client = low_timeout_redis("default", timeout=5)
    connection = kind(client.connection_pool, **options)
    try:
        yield connection
    finally:
        await connection.close()
        await client.aclose(close_connection_pool=True)


@pytest.fixture
def frozen_server() -> Any:
    """A server of the test's own, to be frozen."""
    with kinds.server() as started:
        yield started


@pytest.mark.parametrize("kind", ["redis_url", "unix_url", "tls_url", "tls_sentinel_url"])
async def test_every_caller_gets_its_own_answer_on_one_connection(
    kind: str, opened: Opened, request: pytest.FixtureRequest
) -> None:
    async with opened(request.getfixturevalue(kind), CONNECT_TIMEOUT=20), shared() as connection:
        replies = await asyncio.gather(*(connection.ask("ECHO", n) for n in range(500)))
        assert replies == [str(n).encode() for n in range(500)]
        assert len({await connection.ask("CLIENT", "ID") for _ in range(5)}) == 1


async def test_an_error_is_the_answer_of_its_own_caller_only(opened: Opened, redis_url: str) -> None:
    async with opened(redis_url), shared() as connection:
        before, wrong, after = await asyncio.gather(
            connection.ask("ECHO", "a"), connection.ask("NONSENSE"), connection.ask("ECHO", "b")
        )
    assert (before, after) == (b"a", b"b")
    assert isinstance(wrong, ResponseError)


async def test_a_cut_connection_fails_pending_commands_and_is_reopened_for_the_next(
    opened: Opened, redis_url: str
) -> None:
    losses: list[str] = []
    async with opened(redis_url), shared(on_loss=lambda: losses.append("lost")) as connection:
        number = await connection.ask("CLIENT", "ID")
        waiting = [connection.ask("BLPOP", "nothing", 0), connection.ask("ECHO", "behind")]
        await get_redis().client_kill_filter(_id=str(number))
        assert [type(response) for response in await asyncio.gather(*waiting)] == [RedisConnectionError] * 2
        assert losses == ["lost"]
        assert await connection.ask("CLIENT", "ID") != number


@pytest.mark.parametrize(
    ("kind", "answers"),
    [pytest.param(Shared, b"mine", id="ours"), pytest.param(Forgetful, b"theirs", id="a control")],
)
async def test_a_late_reply_goes_to_no_other_command(
    kind: type[Shared], answers: bytes, opened: Opened, frozen_server: PrivateServer
) -> None:
    async with opened(kinds.url(frozen_server)), shared(kind) as connection:
        await connection.ask("PING")
        with frozen_server.frozen():
            late = connection.ask("ECHO", "theirs")
            connection.abort(TimeoutError())
            assert isinstance(await late, TimeoutError)
        assert await connection.ask("ECHO", "mine") == answers


async def test_a_server_that_is_away_fails_every_caller(opened: Opened, frozen_server: PrivateServer) -> None:
    async with opened(kinds.url(frozen_server)), shared() as connection:
        await asyncio.to_thread(frozen_server.end)
        replies = await asyncio.gather(*(connection.ask("PING") for _ in range(3)))
        assert all(isinstance(response, RedisConnectionError) for response in replies)


async def test_a_caller_that_waits_for_a_connection_can_be_aborted(
    opened: Opened, frozen_server: PrivateServer
) -> None:
    async with opened(kinds.url(frozen_server)), shared() as connection:
        with frozen_server.frozen():
            waiting = connection.ask("PING")
            await asyncio.sleep(0)
            connection.abort(TimeoutError())
            assert isinstance(await waiting, TimeoutError)
        assert await connection.ask("ECHO", "x") == b"x"


async def test_close_leaves_no_waiting_caller_and_no_connection(opened: Opened, redis_url: str) -> None:
    async with opened(redis_url):
        async with shared() as connection:
            number = await connection.ask("CLIENT", "ID")
            waiting = connection.ask("BLPOP", "nothing", 0)
        assert isinstance(await waiting, RedisConnectionError)

        async def is_gone() -> bool:
            return str(number) not in {client["id"] for client in await get_redis().client_list()}

        async with asyncio.timeout(10):
            while not await is_gone():
                await asyncio.sleep(0.01)


async def test_push_messages_are_not_replies(opened: Opened, redis_url: str) -> None:
    pushed: list[Any] = []
    async with opened(redis_url), shared(on_push=pushed.append) as connection:
        await connection.ask("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "pushed:")
        await asyncio.gather(get_redis().set("pushed:1", 1), *(connection.ask("ECHO", n) for n in range(50)))
        await until(lambda: bool(pushed))
        assert await connection.ask("ECHO", "x") == b"x"
    assert pushed == [[b"invalidate", [b"pushed:1"]]]


@pytest.mark.parametrize("response", [b"?nonsense\r\n", b"+OK\r\n+TOO MUCH\r\n"], ids=["nonsense", "too much"])
async def test_a_server_that_breaks_the_protocol_is_disconnected(
    response: bytes, opened: Opened, redis_url: str
) -> None:
    """Whose response is whose is not known any more."""
    losses: list[str] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (received := await reader.read(65536)) and b"ECHO" not in received:
            commands = received.count(b"*")
            writer.write(b"%1\r\n+proto\r\n:3\r\n" if b"HELLO" in received else b"+OK\r\n" * commands)
        writer.write(response)
        await reader.read()
        writer.close()

    async with opened(redis_url), await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with shared(on_loss=lambda: losses.append("lost")) as connection:
            connection._pool.connection_kwargs.update(host="127.0.0.1", port=port)
            first = await connection.ask("ECHO", "x")
            assert isinstance(first, InvalidResponse) or first in (b"OK", "OK")
            await until(lambda: losses == ["lost"])


async def test_after_a_failover_the_next_command_is_the_new_master_s(
    sentinels: kinds.Sentinels, opened: Opened
) -> None:
    async with opened(sentinels.url), shared() as connection:
        before = await connection.ask("CONFIG", "GET", "port")
        await asyncio.to_thread(sentinels.fail_over)
        async with asyncio.timeout(20):
            while await connection.ask("CONFIG", "GET", "port") == before or not await is_master(connection):
                await asyncio.sleep(0.02)


async def is_master(connection: Shared) -> bool:
    role = await connection.ask("ROLE")
    return isinstance(role, list) and role[0] == b"master"
