"""Rooms within one worker, on a real Redis: who hears what, and who holds up nobody."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis
from sanic import Blueprint
from sanic.request import Request
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sanicbase import NotOpenError
from sanicbase.edge import frames
from sanicbase.testing import free_port
from sanicbase.ws import Rooms, WSView, connection, room
from sanicbase.ws.view import Member, send_to_all
from tests.ws.conftest import Serve
from tests.ws.frames import TEXT, frame, raw_client
from tests.ws.recording import until


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def blueprint(rooms: Rooms) -> Blueprint:
    class RoomWS(WSView):
        name: str

        @classmethod
        async def admit(cls, request: Request) -> None:
            await rooms.admit(request.match_info["name"])

        async def on_connect(self) -> None:
            await rooms.join(self.name, self)

        async def on_message(self, message: str | bytes) -> None:
            await rooms.publish(self.name, message)

        async def on_disconnect(self, code: int) -> None:
            rooms.leave(self.name, self)

    blueprint = Blueprint("rooms")
    RoomWS.attach(blueprint, "/room/<name:str>")
    return blueprint


async def connected(stack: AsyncExitStack, port: int, name: str, count: int) -> list[ClientConnection]:
    urls = [f"ws://127.0.0.1:{port}/room/{name}"] * count
    return [await stack.enter_async_context(connect(url)) for url in urls]


async def test_everybody_in_the_room_receives_the_message_and_nobody_else(
    serve: Serve, blueprint: Blueprint, rooms: Rooms
) -> None:
    async with serve(blueprint, rooms) as port, AsyncExitStack() as stack:
        members = await connected(stack, port, "a.b-c_D1", 3)
        (outsider,) = await connected(stack, port, "b", 1)
        for message in ("text", b"bytes", "", b"", "t", "ü€😀"):
            await members[0].send(message)
            assert [await client.recv() for client in members] == [message] * 3
        await outsider.send("only there")
        assert await outsider.recv() == "only there"


async def test_messages_of_each_publisher_are_ordered_and_all_receive_the_same(
    serve: Serve, blueprint: Blueprint, rooms: Rooms
) -> None:
    async with serve(blueprint, rooms) as port, AsyncExitStack() as stack:
        clients = await connected(stack, port, "a", 4)

        async def speak(client: ClientConnection, who: int) -> None:
            for number in range(50):
                await client.send(f"{who} {number}")

        await asyncio.gather(*(speak(client, who) for who, client in enumerate(clients)))
        received = [[await client.recv() for _ in range(200)] for client in clients]
    assert received == [received[0]] * 4
    for who in range(4):
        assert [line for line in received[0] if str(line).startswith(f"{who} ")] == [f"{who} {n}" for n in range(50)]


async def test_a_member_that_does_not_read_is_disconnected_and_delays_no_other(
    serve: Serve, blueprint: Blueprint, rooms: Rooms
) -> None:
    async with serve(blueprint, rooms) as port, AsyncExitStack() as stack, raw_client(port, "/room/a") as slow:
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        speaker, listener = await connected(stack, port, "a", 2)
        message, sent = bytes(60_000), 0
        while len(rooms._members["a"]) == 3:
            await speaker.send(message)
            async with asyncio.timeout(5):
                assert await listener.recv() == await speaker.recv() == message
            sent += len(message)
            assert sent < 50_000_000


async def test_a_worker_listens_to_the_rooms_that_it_has_members_in(
    serve: Serve, blueprint: Blueprint, rooms: Rooms, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "JOIN_TIMEOUT", 0.1)
    async with serve(blueprint, rooms) as port, Redis.from_url(redis_url) as redis:

        async def channels() -> set[bytes | str]:
            return set(await redis.pubsub_channels("*room*"))

        async with AsyncExitStack() as stack:
            await connected(stack, port, "a", 2)
            await connected(stack, port, "b", 1)
            assert await channels() == {b"xi_test:room:a", b"xi_test:room:b"}
            assert len(await redis.client_list(_type="pubsub")) == 1
        async with asyncio.timeout(10):
            while await channels():
                await asyncio.sleep(0.01)
        await until(lambda: not rooms._members and not rooms._expected)


@pytest.mark.parametrize("name", ["a b", "a%2Fb", "%C3%A9", "x" * 65, "a:b", "*", "a%0A"])
async def test_a_name_that_no_room_has_is_refused(serve: Serve, blueprint: Blueprint, rooms: Rooms, name: str) -> None:
    async with serve(blueprint, rooms) as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/room/{name.replace(' ', '%20')}")
    assert refused.value.response.status_code == 400


async def test_a_message_too_big_for_a_room_is_an_error(serve: Serve, blueprint: Blueprint, rooms: Rooms) -> None:
    async with serve(blueprint, rooms) as port, AsyncExitStack() as stack:
        (client,) = await connected(stack, port, "a", 1)
        await client.send(bytes(64 * 1024))
        assert await client.recv() == bytes(64 * 1024)
        await client.send(bytes(64 * 1024 + 1))
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1011
        with pytest.raises(ValueError, match="65536"):
            await rooms.publish("a", "é" * 40_000)


async def test_foreign_messages_in_the_channel_are_ignored(
    serve: Serve, blueprint: Blueprint, rooms: Rooms, redis_url: str
) -> None:
    async with serve(blueprint, rooms) as port, AsyncExitStack() as stack, Redis.from_url(redis_url) as redis:
        (client,) = await connected(stack, port, "a", 1)
        for rubbish in (b"", b"t\xff", b"x", b"b"):
            await redis.publish("xi_test:room:a", rubbish)
        await redis.publish("xi_test:room:a", b"tfrom outside")
        while (received := await client.recv()) != "from outside":
            assert isinstance(received, bytes)


async def test_nobody_is_admitted_while_redis_is_away(
    serve: Serve, blueprint: Blueprint, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanicbase.rc.subscriber.CONFIRM_TIMEOUT", 0.2)
    async with serve(blueprint, rooms) as port:
        assert rooms._subscriber is not None
        rooms._subscriber._redis = Redis(port=free_port())
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/room/a")
    assert refused.value.response.status_code == 503


async def test_rooms_that_are_not_open_say_how_to_open_them(rooms: Rooms) -> None:
    with pytest.raises(NotOpenError, match="resources="):
        await rooms.publish("a", "x")


async def test_the_message_of_a_client_that_leaves_at_once_arrives(
    serve: Serve, blueprint: Blueprint, rooms: Rooms
) -> None:
    async with serve(blueprint, rooms) as port, AsyncExitStack() as stack, raw_client(port, "/room/a") as hasty:
        (listener,) = await connected(stack, port, "a", 1)
        hasty.write(*(frame(TEXT, b"%d" % number) for number in range(20)))
        hasty.writer.close()
        assert [await listener.recv() for _ in range(20)] == [str(number) for number in range(20)]


class Noting:
    """A member of another kind."""

    def __init__(self) -> None:
        self.received: list[str | bytes] = []

    def send_nowait(self, message: str | bytes) -> None:
        self.received.append(message)


async def test_a_message_is_encoded_once_for_all_members(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose class overrides `send_nowait` is sent the message itself; there the view encodes it, once for each."""
    encoded: list[str | bytes] = []
    encode = frames.encode_message

    def counting(message: str | bytes) -> bytes:
        encoded.append(message)
        return encode(message)

    class PlainWS(WSView, public=True):
        async def on_connect(self) -> None:
            members.append(self)

    class OverridingWS(PlainWS, public=True):
        def send_nowait(self, message: str | bytes) -> None:
            super().send_nowait(f"{message!s}, overridden")

    members: list[Member] = []
    both = Blueprint("both")
    PlainWS.attach(both, "/plain")
    OverridingWS.attach(both, "/overriding")
    async with serve(both) as port, AsyncExitStack() as stack:
        urls = [f"ws://127.0.0.1:{port}/{path}" for path in ("plain", "plain", "plain", "overriding", "overriding")]
        clients = [await stack.enter_async_context(connect(url)) for url in urls]
        await until(lambda: len(members) == 5)
        monkeypatch.setattr(frames, "encode_message", counting)
        monkeypatch.setattr(connection, "encode_message", counting)
        send_to_all([*members, noting := Noting()], "x")
        assert sorted([str(await client.recv()) for client in clients]) == ["x"] * 3 + ["x, overridden"] * 2
    assert noting.received == ["x"]
    assert sorted(map(str, encoded)) == ["x", "x, overridden", "x, overridden"]
