"""A client that sends thousands of small things at once does not make the others wait until all of them are handled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sanic import Blueprint, Request, text
from sanic.response import HTTPResponse

from sanicbase.edge.chunks import MAX_CHUNKS, ChunkedBody
from tests.edge.smuggling import CHUNKED, HOST
from tests.http.conftest import ServeAs

MANY = 2000  # pipelined requests
BODY = 40 * MAX_CHUNKS  # bytes, each in a chunk


@dataclass
class Service:
    port: int
    handled: int = 0
    """Pipelined requests, or pieces of a body."""
    seen: int | None = None
    """How many of them had been handled when the other client was."""
    other: asyncio.Task[None] | None = None

    def count(self) -> None:
        self.handled += 1
        if self.other is None:
            self.other = asyncio.create_task(self.ask())

    async def ask(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /other HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        await reader.read()
        writer.close()


@pytest.fixture
async def service(serve_as: ServeAs) -> AsyncIterator[Service]:
    blueprint = Blueprint("turns")
    running = Service(0)

    @blueprint.get("/")
    async def root(_: Request) -> HTTPResponse:
        running.count()
        return text("")

    @blueprint.post("/stream", stream=True)
    async def stream(asked: Request) -> HTTPResponse:
        size = 0
        while data := await asked.stream.read():  # type: ignore[union-attr]
            running.count()
            size += len(data)
        return text(str(size))

    @blueprint.get("/other")
    async def other(_: Request) -> HTTPResponse:
        running.seen = running.handled
        return text("")

    async with serve_as(blueprint) as client:
        assert client.base_url.port is not None
        running.port = client.base_url.port
        yield running


async def test_others_are_served_between_pipelined_requests(service: Service) -> None:
    last = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    await _send(service, (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * (MANY - 1) + last)
    assert service.handled == MANY
    assert service.seen is not None
    assert service.seen < MANY


async def test_others_are_served_between_tiny_chunks(service: Service) -> None:
    chunks = b"1\r\nx\r\n" * BODY
    head = b"POST /stream HTTP/1.1\r\n" + HOST + CHUNKED + b"Connection: close\r\n\r\n"
    answer = await _send(service, head + chunks + b"0\r\n\r\n")
    assert answer.endswith(str(BODY).encode())
    assert service.seen is not None
    assert service.seen < service.handled


def test_the_data_of_tiny_chunks_is_returned_together() -> None:
    chunks, buffer = ChunkedBody(), bytearray(b"1\r\nx\r\n" * (MAX_CHUNKS + 1) + b"0\r\n\r\n")
    assert [chunks.take(buffer) for _ in range(3)] == [b"x" * MAX_CHUNKS, b"x", b""]


async def _send(service: Service, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    assert service.other is not None
    await service.other
    return answer
