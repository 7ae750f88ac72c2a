"""The end of a connection, over TCP and TLS: a client that reads receives everything, and a mute one is cut off."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
import trustme

from sanicbase.edge import closing
from sanicbase.edge.closing import StagedClose
from sanicbase.edge.sockets import reset, unsent_bytes

DATA = bytes(5_000_000)  # more than the kernel takes


class Server(asyncio.Protocol):
    """Writes its data and ends the connection."""

    data = DATA
    client_sends = False

    def __init__(self) -> None:
        self.is_cut = False
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.closing = StagedClose(asyncio.get_running_loop(), self.transport, self.cut)
        self.transport.write(self.data)
        self.closing.end_writing(client_sends=self.client_sends)

    def data_received(self, data: bytes) -> None:
        self.closing.received()

    def cut(self) -> None:
        self.is_cut = True
        reset(self.transport)

    def eof_received(self) -> bool:
        self.closing.client_has_ended()
        return self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing.stop()
        self.lost.set()


@pytest.fixture(params=["tcp", "tls"])
def contexts(request: pytest.FixtureRequest) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """Of the server and of the client."""
    if request.param == "tcp":
        return None, None
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@asynccontextmanager
async def connected(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
) -> AsyncIterator[tuple[Server, asyncio.StreamReader, asyncio.StreamWriter]]:
    loop = asyncio.get_running_loop()
    servers: list[Server] = []

    def make() -> Server:
        servers.append(Server())
        return servers[-1]

    listening = await loop.create_server(make, "127.0.0.1", 0, ssl=contexts[0])
    port = listening.sockets[0].getsockname()[1]
    host = "localhost" if contexts[1] else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=contexts[1], server_hostname=host)
    try:
        yield servers[0], reader, writer
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        listening.close()


async def test_a_client_that_reads_receives_everything(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
) -> None:
    async with connected(contexts) as (server, reader, writer), asyncio.timeout(30):
        assert await reader.read() == DATA
        writer.close()
        await server.lost.wait()
        assert not server.is_cut


async def test_a_silent_client_is_cut_off(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT", 0.3)
    async with connected(contexts) as (server, reader, writer), asyncio.timeout(30):
        await reader.readexactly(1)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await server.lost.wait()
        assert server.is_cut


async def test_a_client_that_reads_too_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT", 0.2)
    monkeypatch.setattr(closing, "MIN_RATE", 100_000_000)
    monkeypatch.setattr(Server, "data", bytes(50_000_000))
    async with connected((None, None)) as (server, reader, _), asyncio.timeout(30):
        while not server.lost.is_set():
            await reader.read(65_536)
            await asyncio.sleep(0.05)
        assert server.is_cut


async def test_a_client_that_has_everything_is_closed_even_if_it_does_not_close(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT", 0.2)
    monkeypatch.setattr(Server, "data", b"413")
    monkeypatch.setattr(Server, "client_sends", True)
    async with connected(contexts) as (server, reader, _), asyncio.timeout(30):
        assert await reader.readexactly(3) == b"413"
        await server.lost.wait()
        assert not server.is_cut


async def test_a_client_that_keeps_sending_is_read_until_it_is_cut_off(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT", 0.2)
    monkeypatch.setattr(closing, "MAX_CLOSE_TIMEOUT", 1.5)
    monkeypatch.setattr(Server, "data", b"413")
    monkeypatch.setattr(Server, "client_sends", True)
    async with connected(contexts) as (server, reader, writer), asyncio.timeout(30):
        assert await reader.readexactly(3) == b"413"
        while not server.lost.is_set():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        assert server.is_cut


async def test_bytes_in_the_kernel_count_as_unsent() -> None:
    async with connected((None, None)) as (server, _, writer), asyncio.timeout(30):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        while unsent_bytes(server.transport) - server.transport.get_write_buffer_size() < 100_000:
            await asyncio.sleep(0.01)
        assert unsent_bytes(server.transport) > 100_000
