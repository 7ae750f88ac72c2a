"""A client that takes its time is disconnected at its deadline, whatever it sends until then, and others are served."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import pytest
from sanic import Blueprint, Request, text
from sanic.exceptions import Unauthorized
from sanic.response import HTTPResponse

from tests.edge.smuggling import CHUNKED, HOST
from tests.http.conftest import ServeAs
from tests.http.wire import exchange, has_socket

TIMEOUT = 0.5  # seconds
PAUSE = 0.05  # seconds between two bytes
PATIENCE = 20.0  # seconds
LARGE = 64 * 1024 * 1024  # bytes, more than all buffers on the way hold
MEDIUM = 512 * 1024  # bytes that the kernel takes at once, and a client with a small buffer does not


def post(path: bytes, fields: bytes) -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n"


DRIPPING = {
    "nothing": (b"", b""),
    "a head": (b"GET / HTTP/1.1\r\n" + HOST + b"X: ", b"x"),
    "headers": (b"GET / HTTP/1.1\r\n" + HOST, b"X: y\r\n"),
    "a body": (post(b"/echo", b"Content-Length: 900\r\n"), b"x"),
    "a body in chunks": (post(b"/echo", CHUNKED), b"1\r\nx\r\n"),
    "a chunk": (post(b"/echo", CHUNKED) + b"380\r\n", b"x"),
    "a body behind a 401": (post(b"/closed", b"Content-Length: 900\r\n"), b"x"),
    "a body that a handler streams": (post(b"/stream", b"Content-Length: 900\r\n"), b"x"),
    "a body after 100 Continue": (post(b"/echo", b"Content-Length: 900\r\nExpect: 100-continue\r\n"), b"x"),
}


@dataclass
class Service:
    port: int


@pytest.fixture(params=["sanicbase"])
async def service(serve_as: ServeAs, request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    blueprint = Blueprint("edge")

    @blueprint.get("/")
    async def root(_: Request) -> HTTPResponse:
        return text("")

    @blueprint.get("/large")
    async def large(_: Request) -> HTTPResponse:
        return HTTPResponse(bytes(LARGE))

    @blueprint.get("/medium")
    async def medium(_: Request) -> HTTPResponse:
        return HTTPResponse(bytes(MEDIUM))

    @blueprint.post("/echo")
    async def echo(request: Request) -> HTTPResponse:
        return text(request.body.decode())

    async def closed(_: Request) -> None:
        raise Unauthorized("No.")

    @blueprint.post("/closed", ctx_guards=(closed,))
    async def for_nobody(_: Request) -> HTTPResponse:
        return text("")

    @blueprint.post("/stream", stream=True)
    async def stream(request: Request) -> HTTPResponse:
        size = 0
        while data := await request.stream.read():  # type: ignore[union-attr]
            size += len(data)
        return text(str(size))

    timeouts: dict[str, Any] = dict.fromkeys(("REQUEST_TIMEOUT", "RESPONSE_TIMEOUT", "KEEP_ALIVE_TIMEOUT"), TIMEOUT)
    options = request.param if isinstance(request.param, dict) else {"EDGE": request.param}
    async with serve_as(blueprint, **{**timeouts, **options}) as client:
        assert client.base_url.port is not None
        yield Service(client.base_url.port)


@pytest.mark.parametrize("what", DRIPPING)
async def test_a_client_that_drips_is_disconnected(service: Service, what: str) -> None:
    beginning, drop = DRIPPING[what]
    assert await _drip(service, chain([beginning], repeat(drop)), PATIENCE)


@pytest.mark.parametrize("service", ["sanic"], indirect=True)
@pytest.mark.parametrize("what", ["a head", "a body", "a body behind a 401"])
async def test_sanics_own_protocol_waits_for_ever(service: Service, what: str) -> None:
    beginning, drop = DRIPPING[what]
    assert not await _drip(service, chain([beginning], repeat(drop)), 5 * TIMEOUT)


async def test_200_slow_clients_do_not_affect_others(service: Service) -> None:
    drops = [DRIPPING[what] for what in DRIPPING] * 22
    slow = [asyncio.create_task(_drip(service, chain([head], repeat(drop)), PATIENCE)) for head, drop in drops]
    statuses = set()
    while not all(task.done() for task in slow):
        statuses.add((await asyncio.to_thread(exchange, service.port, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")).status)
    assert statuses == {200}
    assert all([await task for task in slow])


async def test_a_client_that_does_not_read_is_reset(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
    bound = writer.get_extra_info("socket")
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    writer.write(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
    with closing(writer):
        async with asyncio.timeout(PATIENCE):
            while has_socket(service.port, bound.getsockname()[1]):
                await asyncio.sleep(PAUSE)
    assert reader is not None


@pytest.mark.parametrize("service", [{"KEEP_ALIVE_TIMEOUT": 3600.0}], indirect=True)
async def test_a_client_that_leaves_a_response_in_the_kernel_is_reset(service: Service) -> None:
    with closing(_connect_with_small_buffer(service, b"/medium")) as client:
        port = client.getsockname()[1]
        async with asyncio.timeout(PATIENCE):
            while has_socket(service.port, port):
                await asyncio.sleep(PAUSE)
        with pytest.raises(ConnectionResetError):
            while client.recv(65536):
                pass


@pytest.mark.parametrize("service", [{"KEEP_ALIVE_TIMEOUT": 3600.0}], indirect=True)
async def test_a_client_that_reads_it_slowly_has_all_of_it_and_the_next_one(service: Service) -> None:
    with closing(_connect_with_small_buffer(service, b"/medium")) as client:
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < MEDIUM:
            received += await asyncio.to_thread(client.recv, 10_000)
            await asyncio.sleep(TIMEOUT / 20)
        client.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await asyncio.to_thread(client.recv, 100)).startswith(b"HTTP/1.1 200 OK")


def _connect_with_small_buffer(service: Service, path: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", service.port))
    client.sendall(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    return client


async def test_a_slow_reader_that_reads_has_all_of_it(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
    await reader.readuntil(b"\r\n\r\n")
    received = 0
    while received < LARGE:
        received += len(await reader.read(1024 * 1024))
        await asyncio.sleep(TIMEOUT / 25)
    writer.close()
    assert received == LARGE


async def _drip(service: Service, pieces: Iterator[bytes], seconds: float) -> bool:
    """Send the pieces one by one; whether the connection was closed within so many seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    closed = asyncio.create_task(_until_closed(reader))
    try:
        async with asyncio.timeout(seconds):
            for piece in pieces:
                if closed.done():
                    return True
                writer.write(piece)
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    finally:
        closed.cancel()
        writer.close()
    return closed.done()


async def _until_closed(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        return
