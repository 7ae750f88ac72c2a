"""What a connection keeps for its next request: header lines that belong to nobody's request, and no request."""

from __future__ import annotations

import asyncio
import gc

import pytest
from sanic import Blueprint, Request, text
from sanic.response import HTTPResponse

from sanicbase.edge.head import parse_head
from tests.http.conftest import ServeAs


async def test_changes_of_request_headers_end_with_the_request(serve_as: ServeAs) -> None:
    blueprint = Blueprint("edge")

    @blueprint.get("/")
    async def who(request: Request) -> HTTPResponse:
        seen = request.headers.get("x-user", "nobody")
        request.headers["x-user"] = "admin"
        del request.headers["accept"]
        return text(seen)

    async with serve_as(blueprint) as client:
        port = client.base_url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readexactly(6) == b"nobody"
        writer.close()


@pytest.mark.parametrize(("edge", "kept"), [("sanicbase", 0), ("sanic", 1)])
async def test_an_idle_connection_keeps_no_request(serve_as: ServeAs, edge: str, kept: int) -> None:
    blueprint = Blueprint("edge")
    ids = []

    @blueprint.get("/")
    async def root(request: Request) -> HTTPResponse:
        ids.append(id(request))
        return text("done")

    async with serve_as(blueprint, EDGE=edge) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"done")).startswith(b"HTTP/1.1 200 OK\r\n")
        gc.collect()
        assert len([item for item in gc.get_objects() if isinstance(item, Request) and id(item) in ids]) == kept
        writer.close()


def test_connections_share_the_names_of_headers() -> None:
    (_, one), (_, other) = (
        parse_head(b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: %b" % agent) for agent in (b"a", b"b")
    )
    names = zip(one.headers, other.headers, strict=True)
    assert [(str(name), name is same) for name, same in names] == [("host", True), ("user-agent", True)]
