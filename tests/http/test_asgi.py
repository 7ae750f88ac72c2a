"""An ASGI server: responses have the headers of all others, and bodies have their limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sanic import Blueprint, Request, text
from sanic.response import HTTPResponse

from sanicbase import create_app
from sanicbase.log import close_logging
from sanicbase.server.context import App
from xi_test.config import XiTestConfig

Message = MutableMapping[str, Any]


@asynccontextmanager
async def lifespan_of(app: App) -> AsyncIterator[None]:
    """What an ASGI server does at its start and its end."""
    incoming, outgoing = asyncio.Queue[Message](), asyncio.Queue[Message]()
    running = asyncio.create_task(app({"type": "lifespan"}, incoming.get, outgoing.put))
    incoming.put_nowait({"type": "lifespan.startup"})
    assert (await outgoing.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        incoming.put_nowait({"type": "lifespan.shutdown"})
        assert (await outgoing.get())["type"] == "lifespan.shutdown.complete"
        await running
        close_logging()  # which a process does by ending


@pytest.fixture
async def client(redis_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    blueprint = Blueprint("asgi")

    @blueprint.post("/echo")
    async def echo(request: Request) -> HTTPResponse:
        return text(request.body.decode())

    config = XiTestConfig(
        DB_URL=f"sqlite://{tmp_path}/data.sqlite3",
        REDIS_URL=redis_url,
        LOG_DIR=tmp_path / "logs",
        REQUEST_MAX_SIZE=1000,
        CORS_ORIGINS=["https://shop.example"],
        COMPRESSION=["gzip"],
        COMPRESSION_MIN_SIZE=100,
    )
    app = create_app(config, blueprint)
    app.config.TOUCHUP = False  # it changes Sanic's classes, and so the apps of other tests
    async with lifespan_of(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as opened:
        yield opened


async def test_responses_have_all_headers(client: httpx.AsyncClient) -> None:
    response = await client.post("/echo", content="x" * 1000, headers={"Origin": "https://shop.example"})
    assert response.text == "x" * 1000
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["access-control-allow-origin"] == "https://shop.example"
    assert response.headers["content-encoding"] == "gzip"
    assert len(response.headers["x-request-id"]) == 32


async def test_responses_to_preflights_have_all_headers(client: httpx.AsyncClient) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    response = await client.options("/echo", headers=headers)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "https://shop.example"


async def test_a_body_has_its_limit(client: httpx.AsyncClient) -> None:
    assert (await client.post("/echo", content="x" * 1001)).status_code == 413
