"""A response hook sees every response before its head is sent, and may change it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sanic import Blueprint, Request, text
from sanic.response import BaseHTTPResponse, HTTPResponse, empty

from sanicbase import create_app
from sanicbase.testing import client
from tests.http.wire import exchange
from tests.http.wire import request as wire
from xi_test.config import XiTestConfig


def mark(request: Request[Any, Any], response: BaseHTTPResponse) -> None:
    response.headers["x-hook"] = f"{request.method} {response.status}"
    if response.body == b"change me":
        response.body = b"changed"


@pytest.fixture(params=["sanicbase", "sanic"])
async def port(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> AsyncIterator[int]:
    blueprint = Blueprint("hooked")

    async def whole(request: Request) -> HTTPResponse:
        return text("change me")

    @blueprint.get("/headers")
    async def with_headers(request: Request) -> HTTPResponse:
        return text("ok", headers={"x-hook": "of the handler"})

    @blueprint.get("/empty")
    async def nothing(request: Request) -> HTTPResponse:
        return empty()

    @blueprint.get("/stream")
    async def stream(request: Request) -> None:
        response = await request.respond(content_type="text/plain")
        assert response is not None
        await response.send("a")
        await response.send("b")

    @blueprint.get("/broken")
    async def broken(request: Request) -> HTTPResponse:
        raise RuntimeError

    async def late(request: Request, response: BaseHTTPResponse) -> None:
        if request.args.get("late"):
            response.headers["x-hook"] = "of a middleware"

    blueprint.add_route(whole, "/text", methods=["GET", "HEAD", "POST"])
    blueprint.on_response(late)
    config = XiTestConfig(
        DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, REQUEST_MAX_SIZE=1000,
        EDGE=request.param,
        REQUEST_TIMEOUT=2.0,
    )  # fmt: skip
    app = create_app(config, blueprint)
    app.ctx.response_hooks.append(mark)
    async with client(app) as opened:
        assert opened.base_url.port is not None
        yield opened.base_url.port


SEEN: list[tuple[bytes, str, bytes | None]] = [
    (wire(b"/text"), "GET 200", b"changed"),
    (wire(b"/text", method=b"HEAD"), "HEAD 200", b""),
    (wire(b"/headers"), "GET 200", b"ok"),
    (wire(b"/text?late=1"), "GET 200", b"changed"),
    (wire(b"/empty"), "GET 204", b""),
    (wire(b"/stream"), "GET 200", b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
    (wire(b"/broken"), "GET 500", None),
    (wire(b"/nowhere"), "GET 404", None),
    (wire(b"/headers", method=b"POST"), "POST 405", None),
    (wire(b"/text", b"Content-Length: 1001", method=b"POST", body=b"x" * 1001), "POST 413", None),
    (wire(b"/text", b"Content-Length: x", method=b"POST"), "NONE 400", None),
    (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", "NONE 400", None),
]


async def test_every_response_passes_the_hook(port: int) -> None:
    responses = [await asyncio.to_thread(exchange, port, sent) for sent, _, _ in SEEN]
    assert [response.headers["x-hook"] for response in responses] == [mark for _, mark, _ in SEEN]
    assert all(response.whole for response in responses)
    bodies = [response.body for response, (_, _, body) in zip(responses, SEEN, strict=True) if body is not None]
    assert bodies == [body for _, _, body in SEEN if body is not None]


@pytest.mark.parametrize("port", ["sanicbase"], indirect=True)
async def test_the_response_to_a_late_body_passes_the_hook(port: int) -> None:
    late = wire(b"/text", b"Content-Length: 10", method=b"POST", body=b"x")
    assert (await asyncio.to_thread(exchange, port, late)).headers["x-hook"] == "POST 408"
