"""A client that sends as much as it can, of what costs it least: the worker still serves others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sanicbase.edge import websocket
from sanicbase.edge.websocket import MessageReader
from sanicbase.ws import WSView, connection
from tests.ws.conftest import Serve
from tests.ws.frames import BINARY, CLOSE, CONT, PING, TEXT, RawClient, close, frame, raw_client
from tests.ws.recording import recording_view, until
from tests.ws.test_view import blueprint_of

COUNT = 30_000  # frames, many times what one turn may handle

FLOODS = {
    "empty pings": [frame(PING)] * COUNT,
    "empty messages": [frame(TEXT)] * COUNT,
    "empty fragments": [frame(BINARY, fin=False), *[frame(CONT, fin=False)] * COUNT, frame(CONT)],
    "fragments of a byte": [frame(TEXT, b"a", fin=False), *[frame(CONT, b"a", fin=False)] * COUNT, frame(CONT)],
}


class QuickWS(WSView, public=True):
    """Never waits, so that it handles its messages as fast as it gets them."""

    handled = 0

    async def on_message(self, message: str | bytes) -> None:
        type(self).handled += 1


@pytest.fixture
def work_per_turn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The frames that were read in each turn of the loop, while `counted` runs."""
    turns = [0]
    read = MessageReader.read

    def counting(self: MessageReader) -> object:
        turns[-1] += 1
        return read(self)

    monkeypatch.setattr(MessageReader, "read", counting)
    return turns


@asynccontextmanager
async def counted(turns: list[int]) -> AsyncIterator[None]:
    """Begin a new count in every turn of the loop."""

    async def tick() -> None:
        while True:
            turns.append(0)
            await asyncio.sleep(0)

    ticks = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticks.cancel()


async def pour(client: RawClient, frames: list[bytes]) -> None:
    """Write as fast as the server takes it, read what it writes, and return when it has closed."""
    reading = asyncio.create_task(client.reader.read())
    stream = b"".join([*frames, close(1000)])
    try:
        for start in range(0, len(stream), 65_536):
            client.writer.write(stream[start : start + 65_536])
            await client.writer.drain()
        await reading
    except ConnectionError:
        reading.cancel()


@pytest.mark.parametrize("frames", FLOODS.values(), ids=FLOODS.keys())
@pytest.mark.parametrize("bounded", [True, False], ids=["bounded", "control"])
async def test_a_flood_is_handled_in_turns(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, work_per_turn: list[int], frames: list[bytes], bounded: bool
) -> None:
    if not bounded:
        monkeypatch.setattr(connection, "MAX_FRAMES", 10**9)
        monkeypatch.setattr(connection, "MAX_QUEUED", 10**9)
    monkeypatch.setattr(websocket, "MIN_FRAGMENTS", 10**9)
    async with serve(blueprint_of(QuickWS)) as port, raw_client(port, "/ws") as client, counted(work_per_turn):
        await pour(client, frames)
    assert sum(work_per_turn) >= COUNT
    if bounded:  # the last turn of a read and the first of the next one may be in the same turn of the loop
        assert max(work_per_turn) <= 2 * connection.MAX_FRAMES
    else:
        assert max(work_per_turn) > 10 * 128


@pytest.mark.parametrize("filler", [frame(CONT, fin=False), frame(PING)], ids=["fragments", "pings"])
async def test_a_message_without_end_is_refused(serve: Serve, filler: bytes) -> None:
    recorder = recording_view()
    async with serve(blueprint_of(recorder)) as port, raw_client(port, "/ws") as client:
        client.write(frame(TEXT, b"a", fin=False), *[filler] * 10_000)
        while (got := await client.read_frame())[0] != CLOSE:
            pass
        assert int.from_bytes(got[1][:2], "big") == 1008
        client.cut()
        await until(lambda: recorder.log == ["connect", 1008])


async def test_a_client_is_not_read_ahead_of_its_view(serve: Serve) -> None:
    """Its messages wait in the queue, the rest in the reader and in the socket, and none is lost."""
    recorder = recording_view()
    gate = asyncio.Event()

    class GatedWS(recorder):  # type: ignore[valid-type, misc]
        async def on_message(self, message: str | bytes) -> None:
            await gate.wait()
            await super().on_message(message)

    async with serve(blueprint_of(GatedWS)) as port, raw_client(port, "/ws") as client:
        client.write(*(frame(TEXT, b"%d" % number) for number in range(5000)), close(1000))
        await until(lambda: recorder.instances and recorder.instances[0]._connection._paused)
        assert len(recorder.instances[0]._connection._queue) <= connection.MAX_QUEUED
        gate.set()
        assert await client.read_close() == 1000
        await until(lambda: recorder.log[-1:] == [1000])
    assert recorder.log == ["connect", *map(str, range(5000)), 1000]


async def test_messages_in_the_reader_survive_a_lost_connection(serve: Serve) -> None:
    recorder = recording_view()
    gate = asyncio.Event()

    class GatedWS(recorder):  # type: ignore[valid-type, misc]
        async def on_message(self, message: str | bytes) -> None:
            await gate.wait()
            await super().on_message(message)

    async with serve(blueprint_of(GatedWS)) as port, raw_client(port, "/ws") as client:
        client.write(*(frame(TEXT, b"%d" % number) for number in range(200)))
        await until(lambda: recorder.instances and recorder.instances[0]._connection._paused)
        recorder.instances[0]._connection._transport.abort()
        await until(lambda: recorder.instances[0]._connection.over)
        gate.set()
        await until(lambda: recorder.log[-1:] == [1006])
    assert recorder.log == ["connect", *map(str, range(200)), 1006]


async def test_frames_in_the_same_packet_as_the_handshake_are_read(serve: Serve) -> None:
    """RFC 6455 lets a client send only after the answer; what some send before is not lost in the middle of a frame."""
    recorder = recording_view()
    async with serve(blueprint_of(recorder)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + frame(TEXT, b"early") + close(1000)
        )
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b"\x88\x02\x03\xe8"
        writer.close()
        await until(lambda: recorder.log[-1:] == [1000])
    assert recorder.log == ["connect", "early", 1000]
