"""The end of a connection whose client reads slowly, or not at all: what arrives, and what the kernel keeps."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from sanicbase.edge import closing
from sanicbase.ws import WSView, connection
from tests.ws.conftest import Serve
from tests.ws.frames import CLOSE, TEXT, RawClient, frame, raw_client
from tests.ws.recording import recording_view, until
from tests.ws.test_view import blueprint_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc/net/tcp has the states of sockets")

FIN_WAIT_1 = "04"
MESSAGE = bytes(40_000)
COUNT = 20  # messages of which the kernel takes most, and which the server may leave unsent


def state_of(server: int, client: int) -> str | None:
    """The state of the server's socket, as the kernel numbers them; None when it has none."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (server, client):
            return state
    return None


class PouringWS(WSView, public=True):
    """Sends more than a client takes at once, and then what it is told to do."""

    codes: list[int]

    async def on_message(self, message: str | bytes) -> None:
        for _ in range(COUNT):
            self.send_nowait(MESSAGE)
        if message == "fail":
            raise RuntimeError("as told")
        if message == "close":
            await self.close(4000)

    async def on_disconnect(self, code: int) -> None:
        self.codes.append(code)


@pytest.fixture
def pouring() -> type[PouringWS]:
    class OwnWS(PouringWS):
        codes: list[int] = []

    return OwnWS


@asynccontextmanager
async def small_client(port: int) -> AsyncIterator[RawClient]:
    """A client whose kernel takes little, and which reads nothing by itself."""
    async with raw_client(port, "/ws", receive_buffer=8192, limit=4096) as client:
        cast(asyncio.Transport, client.writer.transport).pause_reading()
        yield client


def ports(client: RawClient) -> tuple[int, int]:
    bound: socket.socket = client.writer.get_extra_info("socket")
    return bound.getpeername()[1], bound.getsockname()[1]


@pytest.mark.parametrize("end", ["fail", "close"])
@pytest.mark.parametrize("resets", [True, False], ids=["reset", "control"])
async def test_a_silent_client_leaves_no_socket_behind(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, pouring: type[PouringWS], end: str, resets: bool
) -> None:
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT", 0.3)
    if not resets:
        monkeypatch.setattr(connection, "reset", lambda transport: transport.abort())
    async with serve(blueprint_of(pouring)) as port, small_client(port) as client:
        client.write(frame(TEXT, end.encode()))
        await until(lambda: pouring.codes)
        server = ports(client)
        if resets:
            await until(lambda: state_of(*server) is None)
        else:
            await until(lambda: state_of(*server) == FIN_WAIT_1)
            await asyncio.sleep(1)
            assert state_of(*server) == FIN_WAIT_1
    assert pouring.codes == [1011 if end == "fail" else 4000]


async def read_slowly(client: RawClient, pause: float) -> list[int]:
    """The opcodes of the server's frames, one every `pause` seconds, up to a close frame."""
    transport = cast(asyncio.Transport, client.writer.transport)
    opcodes: list[int] = []
    while not opcodes or opcodes[-1] != CLOSE:
        transport.resume_reading()
        opcodes.append((await client.read_frame())[0])
        transport.pause_reading()
        await asyncio.sleep(pause)
    return opcodes


def seen_by_the_transport_only(transport: Any) -> int:
    return int(transport.get_write_buffer_size())


@pytest.mark.parametrize("looks", [True, False], ids=["kernel", "control"])
async def test_a_slow_client_receives_all_that_precedes_the_close(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, pouring: type[PouringWS], looks: bool
) -> None:
    """It needs several times CLOSE_TIMEOUT, and acknowledges something in each. The control looks at the buffer of the
    transport only, which is empty: the kernel has everything."""
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT", 0.4)
    if not looks:
        monkeypatch.setattr(closing, "unsent_bytes", seen_by_the_transport_only)
    async with serve(blueprint_of(pouring)) as port, small_client(port) as client:
        client.write(frame(TEXT, b"close"))
        if looks:
            assert len(await read_slowly(client, 0.1)) == COUNT + 1
        else:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await read_slowly(client, 0.1)


@pytest.mark.parametrize("looks", [True, False], ids=["kernel", "control"])
async def test_a_client_that_reads_slowly_is_not_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, looks: bool
) -> None:
    """The buffer of the transport does not move while the kernel has megabytes to send first."""
    monkeypatch.setattr(connection, "SEND_TIMEOUT", 0.2)
    if not looks:
        monkeypatch.setattr(connection, "unsent_bytes", seen_by_the_transport_only)
    recorder = recording_view()

    class SendingWS(recorder):  # type: ignore[valid-type, misc]
        async def on_message(self, message: str | bytes) -> None:
            for _ in range(100):
                await self.send(MESSAGE)
            await self.close(4000)

    async with serve(blueprint_of(SendingWS)) as port, small_client(port) as client:
        client.write(frame(TEXT, b"begin"))
        await until(lambda: recorder.instances)
        server = recorder.instances[0]._connection
        await until(lambda: not server._protocol._can_write.is_set())
        if looks:
            assert len(await read_slowly(client, 0.05)) == 101
        else:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await read_slowly(client, 0.05)


async def test_a_client_that_ends_without_a_close_frame_receives_what_was_sent(
    serve: Serve, pouring: type[PouringWS]
) -> None:
    async with serve(blueprint_of(pouring)) as port, small_client(port) as client:
        client.write(frame(TEXT, b"go on"))
        client.writer.write_eof()
        await until(lambda: pouring.codes)
        cast(asyncio.Transport, client.writer.transport).resume_reading()
        for _ in range(COUNT):
            assert (await client.read_frame())[1] == MESSAGE
        assert await client.reader.read() == b""
    assert pouring.codes == [1006]
