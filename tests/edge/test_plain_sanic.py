"""A plain Sanic app on the edge, as Sanic's own tests have it."""

from __future__ import annotations

import asyncio
import logging

import pytest
from sanic import Request, Sanic, Websocket, text
from sanic.log import access_logger
from sanic.response import HTTPResponse
from sanic.server import AsyncioServer
from websockets.asyncio.client import connect

from sanicbase.edge.protocol import EdgeProtocol
from sanicbase.testing.ports import free_port


async def test_it_works_with_plain_sanic_settings(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_logger, "propagate", True)
    app = Sanic("plain", configure_logging=False)
    app.config.ACCESS_LOG = True
    app.config.TOUCHUP = False  # it changes the class, and so the apps of other tests

    @app.get("/")
    async def root(_: Request) -> HTTPResponse:
        return text("hello")

    @app.websocket("/ws")  # type: ignore[untyped-decorator]
    async def echo(_: Request, ws: Websocket) -> None:
        await ws.send("from " + str(await ws.recv()))

    port = free_port()
    server = await app.create_server("127.0.0.1", port, protocol=EdgeProtocol, return_asyncio_server=True)
    assert isinstance(server, AsyncioServer)
    await server.startup()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with caplog.at_level(logging.INFO):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"\r\n\r\nhello")
            writer.close()
        async with connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as websocket:
            await websocket.send("me")
            assert await websocket.recv() == "from me"
    finally:
        server.close()
        await server.wait_closed()
        await server.after_stop()
        Sanic._app_registry.pop("plain")
    logged = [vars(record) for record in caplog.records if record.name == "sanic.access"]
    assert logged[0]["byte"] == 5
