"""The end of a response is clear, whatever its handler says about it (RFC 9112, 6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from tests.http.conftest import ServeAs
from tests.http.wire import exchange, request


@pytest.fixture
async def port(serve_as: ServeAs) -> AsyncIterator[int]:
    blueprint = Blueprint("framed")

    @blueprint.get("/copied")
    async def copied(_: Request) -> HTTPResponse:
        return HTTPResponse("hello", headers={"Transfer-Encoding": "chunked"})

    @blueprint.get("/copied-stream")
    async def copied_stream(asked: Request) -> None:
        response = await asked.respond(headers={"Transfer-Encoding": "chunked", "Content-Length": "5"})
        assert response is not None
        await response.send("hello")

    @blueprint.get("/longer")
    async def longer(asked: Request) -> None:
        response = await asked.respond(headers={"Content-Length": "5"})
        assert response is not None
        await response.send("hello and more")

    @blueprint.get("/stream")
    async def stream(asked: Request) -> None:
        response = await asked.respond()
        assert response is not None
        await response.send("hello")
        await response.send(" world")

    async with serve_as(blueprint) as client:
        assert client.base_url.port is not None
        yield client.base_url.port


@pytest.mark.parametrize("path", [b"/copied", b"/copied-stream"])
async def test_a_length_and_chunks_are_never_sent_together(port: int, path: bytes) -> None:
    answer = await asyncio.to_thread(exchange, port, request(path))
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"hello", "5")
    assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize("header", [b"X-Other: 1", b"Connection: keep-alive"])
async def test_http_1_0_has_no_chunks(port: int, header: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(b"/stream", header, version=b"1.0"))
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert body == b"hello world"
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    writer.close()


async def test_a_body_longer_than_its_content_length_is_not_sent(port: int) -> None:
    assert (await asyncio.to_thread(exchange, port, request(b"/longer"))).status == 500
