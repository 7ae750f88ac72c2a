"""Which pages may open a WebSocket: 403 before the upgrade for all others, and no check of programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sanic import Blueprint, Websocket
from sanic.exceptions import Unauthorized
from sanic.request import Request

from sanicbase import CORS, create_app
from sanicbase.testing import client
from sanicbase.ws import WSView
from tests.http.wire import Answer, exchange
from xi_test.config import XiTestConfig

Serve = Callable[..., AbstractAsyncContextManager[int]]
SHOP = "https://shop.example.com"
NEWS = "https://news.example.com"
PROD: dict[str, Any] = {"ENV": "prod", "ADMIN_TOKEN": "Zx81-vq0m-37ab-kkd9"}
UPGRADE = (
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


class EchoWS(WSView, public=True):
    pass


class GuardedWS(WSView):
    @classmethod
    async def admit(cls, request: Request[Any, Any]) -> None:
        raise Unauthorized("The guard was asked.")


class NewsWS(WSView, public=True, cors=CORS([NEWS])):
    pass


class OpenWS(WSView, public=True, cors=CORS(["*"])):
    pass


async def plain(request: Request[Any, Any], ws: Websocket) -> None:
    await ws.close()


def doors() -> Blueprint:
    blueprint = Blueprint("doors")
    for view, path in ((EchoWS, "echo"), (GuardedWS, "guarded"), (NewsWS, "news"), (OpenWS, "open")):
        view.attach(blueprint, f"/{path}")
    blueprint.add_websocket_route(plain, "/plain")
    return blueprint


async def status(port: int, path: str, *headers: str, host: str = "ws.example.com") -> int:
    head = [b"GET %b HTTP/1.1" % path.encode(), b"Host: %b" % host.encode(), *UPGRADE]
    raw = b"\r\n".join([*head, *(line.encode() for line in headers), b"", b""])
    response: Answer = await asyncio.to_thread(exchange, port, raw)
    return response.status


@pytest.fixture
def serve(redis_url: str, tmp_path: Path) -> Serve:
    """Serve the doors by the rules of those settings. It runs in dev, because prod would refuse the empty database."""

    @asynccontextmanager
    async def served(**settings: Any) -> AsyncIterator[int]:
        stores: dict[str, Any] = {"DB_URL": f"sqlite://{tmp_path}/data.sqlite3", "REDIS_URL": redis_url}
        app = create_app(XiTestConfig(**{**stores, **settings}), doors())
        async with client(app, XiTestConfig(**stores)) as http:
            assert http.base_url.port is not None
            yield http.base_url.port

    return served


OWN = ["https://ws.example.com", "http://ws.example.com"]
STRANGE = [
    "https://evil.example", "https://ws.example.com.evil.example", "https://evilws.example.com",
    "https://sub.ws.example.com", "https://ws.example.com:8443", "https://ws.example.com.", "https://ws.example.com/",
    "https://u@ws.example.com", "https://WS.example.com", "ws.example.com", "ws://ws.example.com", "null", "*", "",
    "https://", "https://localhost", "http://localhost:3000", NEWS,
]  # fmt: skip


@pytest.mark.parametrize("edge", ["sanicbase", "sanic"])
async def test_only_pages_of_the_own_host_and_of_listed_origins_come_in(serve: Serve, edge: str) -> None:
    async with serve(**PROD, CORS_ORIGINS=[SHOP], EDGE=edge) as port:
        for path in ("/echo", "/plain"):
            assert await status(port, path) == 101, "a program sends no Origin"
            for origin in (SHOP, *OWN):
                assert await status(port, path, f"Origin: {origin}") == 101
            for origin in STRANGE:
                assert await status(port, path, f"Origin: {origin}") == 403, origin
            assert await status(port, path, f"Origin: {SHOP}", f"Origin: {SHOP}") == 403
        # The origin is checked before the guard, which checks everybody else.
        assert await status(port, "/guarded", "Origin: https://evil.example") == 403
        assert await status(port, "/guarded", f"Origin: {SHOP}") == 401
        assert await status(port, "/guarded") == 401
        # A view's own rules replace those of the settings.
        assert await status(port, "/news", f"Origin: {NEWS}") == 101
        assert await status(port, "/news", f"Origin: {SHOP}") == 403
        assert await status(port, "/news", f"Origin: {OWN[0]}") == 101
        # Everybody, but not on behalf of a user who is signed in.
        assert await status(port, "/open", "Origin: https://any.example") == 101
        assert await status(port, "/open", "Origin: https://any.example", "Cookie: session=1") == 403
        assert await status(port, "/open", f"Origin: {OWN[0]}", "Cookie: session=1") == 101


async def test_the_own_host_has_the_port_and_the_scheme_of_the_page(serve: Serve) -> None:
    https = "X-Forwarded-Proto: https"
    async with serve(**PROD, TRUSTED_PROXIES=["127.0.0.1"]) as port:
        assert await status(port, "/echo", "Origin: https://a.example", https, host="a.example") == 101
        assert await status(port, "/echo", "Origin: https://a.example", https, host="A.example:443") == 101
        assert await status(port, "/echo", "Origin: https://a.example:8443", https, host="a.example:8443") == 101
        assert await status(port, "/echo", "Origin: http://a.example", https, host="a.example") == 403, "not over TLS"
        assert await status(port, "/echo", "Origin: https://a.example", https, host="a.example:8443") == 403
        named = "X-Forwarded-Host: a.example"
        assert await status(port, "/echo", "Origin: https://a.example", https, named, host="10.0.0.1") == 101
        assert await status(port, "/echo", "Origin: https://10.0.0.1", https, named, host="10.0.0.1") == 403
        assert await status(port, "/echo", "Origin: http://[2001:db8::1]:8", host="[2001:db8::1]:8") == 101


async def test_in_dev_pages_of_this_machine_come_in_as_well(serve: Serve) -> None:
    async with serve() as port:
        for origin in ("http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:8800", "https://localhost"):
            assert await status(port, "/echo", f"Origin: {origin}") == 101
        for origin in ("https://evil.example", "http://localhost.evil.example", "http://evil.localhost:3000", "null"):
            assert await status(port, "/echo", f"Origin: {origin}") == 403
