"""A response to a request that is not read to its end reaches the client (RFC 9112, 9.6)."""

from __future__ import annotations

import asyncio
import http.client
import logging
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from sanic import Blueprint, Request, text
from sanic.response import HTTPResponse

from sanicbase.edge import closing
from tests.edge.smuggling import CHUNKED, HOST
from tests.http.conftest import ServeAs
from tests.http.wire import has_socket

LARGE = 16 * 1024 * 1024  # bytes, more than all buffers on the way hold


@pytest.fixture(params=["sanicbase"])
async def port(serve_as: ServeAs, request: pytest.FixtureRequest) -> AsyncIterator[int]:
    blueprint = Blueprint("edge")

    @blueprint.post("/echo")
    async def echo(request: Request) -> HTTPResponse:
        return text(str(len(request.body)))

    @blueprint.get("/large")
    async def large(request: Request) -> HTTPResponse:
        request.app.config.GRACEFUL_TCP_CLOSE_TIMEOUT = 0.1  # of Sanic's own protocol
        return HTTPResponse(bytes(LARGE))

    async with serve_as(blueprint, REQUEST_MAX_SIZE=100_000, EDGE=request.param) as client:
        assert client.base_url.port is not None
        yield client.base_url.port


@pytest.mark.parametrize("size", [100_001, 1_000_000, 20_000_000])
async def test_a_client_that_sends_all_before_it_reads_learns_that_it_is_too_large(port: int, size: int) -> None:
    assert [await asyncio.to_thread(_send, port, size) for _ in range(5)] == [413] * 5


@pytest.mark.parametrize("port", ["sanic"], indirect=True)
async def test_sanics_own_protocol_resets_the_connection(port: int) -> None:
    with pytest.raises(OSError, match=r"reset|Broken"):
        for _ in range(20):
            await asyncio.to_thread(_send, port, 20_000_000)


async def test_an_unread_body_that_is_short_leaves_the_connection_open(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for framed in (b"Content-Length: 1000\r\n\r\n" + b"x" * 1000, CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n") * 3:
        writer.write(b"POST /nowhere HTTP/1.1\r\n" + HOST + framed)
        assert b" 404 " in await _head(reader)
    writer.close()


async def test_an_unread_body_in_chunks_whose_end_is_not_there_closes_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /nowhere HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n3\r\nabc\r\n")
    assert b"connection: close" in await _head(reader)
    assert await reader.read() == b""
    writer.close()


async def test_an_unread_body_that_is_long_closes_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 90000\r\n\r\n")
    assert b"connection: close" in await _head(reader)
    assert await reader.read() == b""
    writer.close()


async def test_a_refused_expectation_is_answered_without_a_100(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    head = await _head(reader)
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"connection: close" in head
    writer.close()


async def test_a_body_that_is_announced_as_too_large_is_refused_without_a_100(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
    head = await _head(reader)
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head
    writer.close()


async def test_a_client_that_waits_for_100_gets_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def test_the_last_response_of_a_connection_may_be_read_slowly(port: int) -> None:
    assert await _read_slowly(port) == LARGE


@pytest.mark.parametrize("port", ["sanic"], indirect=True)
async def test_sanics_own_protocol_cuts_it_off(port: int) -> None:
    assert await _read_slowly(port) < LARGE


async def test_the_last_response_of_a_connection_that_is_not_read_is_dropped(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT", 0.2)
    _, writer = await _ask_for_large(port)
    client = writer.get_extra_info("sockname")[1]
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(30):
        while has_socket(port, client):
            await asyncio.sleep(0.05)
    assert not has_socket(port, client)
    writer.transport.abort()


async def test_a_worker_that_ends_closes_its_connections_one_by_one(serve_as: ServeAs) -> None:
    blueprint = Blueprint("edge")

    @blueprint.get("/")
    async def root(request: Request) -> HTTPResponse:
        request.app.config.KEEP_ALIVE = False
        return text("")

    async with serve_as(blueprint) as client:
        assert client.base_url.port is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"connection: keep-alive" in await _head(reader)
        writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"connection: close" in await _head(reader)
        assert await reader.read() == b""
        writer.close()


async def test_a_client_that_resets_what_is_refused_leaves_no_error(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        await asyncio.to_thread(_reset, port, b"nonsense\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
    assert b" 404 " in await _head(reader)
    writer.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def _ask_for_large(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65_536)
    writer.write(b"GET /large HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def _read_slowly(port: int) -> int:
    """The bytes of the body of a response that are received in a second and more."""
    reader, writer = await _ask_for_large(port)
    received = 0
    try:
        while data := await reader.read(256 * 1024):
            received += len(data)
            await asyncio.sleep(0.01)
    except ConnectionError:
        pass
    writer.close()
    return received


def _reset(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(sent)


def _send(port: int, size: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/echo", b"1" * size)
        return connection.getresponse().status
    finally:
        connection.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Read a response and return its head."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return head
