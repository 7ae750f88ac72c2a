"""The headers that every response has, whatever its status, and how settings and handlers change them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sanic import Blueprint
from sanic import Request as SanicRequest
from sanic.compat import Header
from sanic.response import HTTPResponse, empty, text

from sanicbase import APIView, Config, ConfigError, create_app
from sanicbase.edge.forwarded import TrustedProxies
from sanicbase.http.default_headers import DefaultHeaders
from sanicbase.http.request import ServiceRequest
from sanicbase.testing import client
from tests.http.wire import Answer, exchange
from tests.http.wire import request as wire
from xi_test.config import XiTestConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")

BY_DEFAULT = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "content-security-policy": "frame-ancestors 'none'",
}
LENGTH = b"Content-Length: "


class KeyAPI(APIView, public=True):
    security = {"key": {"type": "apiKey", "in": "header", "name": "X-Shop-Key"}}

    async def get(self, request: SanicRequest[Any, Any]) -> str:
        return "opened"


async def plain(request: SanicRequest[Any, Any]) -> HTTPResponse:
    return text("plain")


async def own(request: SanicRequest[Any, Any]) -> HTTPResponse:
    return text(
        "own",
        headers={
            "Cache-Control": "private, max-age=60",
            "X-Content-Type-Options": "sniff",
            "Referrer-Policy": "origin",
            "Content-Security-Policy": "default-src 'none'",
            "X-Request-ID": "of-the-handler",
            "Strict-Transport-Security": "max-age=1",
        },
    )


async def nothing(request: SanicRequest[Any, Any]) -> HTTPResponse:
    return empty()


async def broken(request: SanicRequest[Any, Any]) -> HTTPResponse:
    raise RuntimeError


async def slow(request: SanicRequest[Any, Any]) -> HTTPResponse:
    await asyncio.sleep(60)
    return empty()


async def stream(request: SanicRequest[Any, Any]) -> None:
    response = await request.respond(content_type="text/plain")
    assert response is not None
    await response.send("a")
    await response.eof()


def blueprint() -> Blueprint:
    blueprint = Blueprint("headers")
    KeyAPI.attach(blueprint, "/key")
    for handler in (plain, own, nothing, broken, slow, stream):
        blueprint.add_route(handler, f"/{handler.__name__}", methods=["GET", "HEAD", "POST"])
    return blueprint


def config(redis_url: str, folder: Path, **settings: Any) -> Config:
    stores: dict[str, Any] = {"DB_URL": f"sqlite://{folder}/data.sqlite3", "REDIS_URL": redis_url, "LOG_DIR": folder}
    short: dict[str, Any] = {"REQUEST_TIMEOUT": 1.5, "RESPONSE_TIMEOUT": 1.5, "REQUEST_MAX_SIZE": 1000}
    return XiTestConfig(**{**stores, **short, **settings})


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sanicbase", "sanic"])
async def service(
    request: pytest.FixtureRequest, redis_server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    settings = config(redis_server_url, tmp_path_factory.mktemp("headers"), EDGE=request.param, LOG_CONSOLE=False)
    async with client(create_app(settings, blueprint())) as http:
        yield http


async def sent(http: httpx.AsyncClient, raw: bytes) -> Answer:
    assert http.base_url.port is not None
    return await asyncio.to_thread(exchange, http.base_url.port, raw)


EVERY_STATUS = [
    (wire(b"/plain"), 200),
    (wire(b"/plain", method=b"HEAD"), 200),
    (wire(b"/stream"), 200),
    (wire(b"/nothing"), 204),
    (wire(b"/plain?x", b"Authorization: a", b"Authorization: b"), 400),
    (wire(b"/nowhere"), 404),
    (wire(b"/plain", method=b"DELETE"), 405),
    (wire(b"/plain", LENGTH + b"10", method=b"POST", body=b"half"), 408),
    (wire(b"/plain", LENGTH + b"1001", method=b"POST", body=b"x" * 1001), 413),
    (wire(b"/broken"), 500),
    (wire(b"/slow"), 503),
]


@pytest.mark.parametrize(
    ("raw", "status"), EVERY_STATUS, ids=[f"{status}-{n}" for n, (_, status) in enumerate(EVERY_STATUS)]
)
async def test_every_response_has_them(service: httpx.AsyncClient, raw: bytes, status: int) -> None:
    response = await sent(service, raw)
    assert response.status == status
    assert response.headers.items() >= BY_DEFAULT.items()
    assert len(response.headers["x-request-id"]) == 32
    assert "strict-transport-security" not in response.headers, "it came over plain HTTP"


async def test_responses_to_invalid_requests_have_them(service: httpx.AsyncClient) -> None:
    response = await sent(service, b"no request at all\r\n\r\n")
    assert response.status == 400
    assert response.headers.items() >= BY_DEFAULT.items()


async def test_the_id_of_an_error_is_that_of_its_body(service: httpx.AsyncClient) -> None:
    response = await service.get("/broken")
    assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_a_handlers_own_headers_stay(service: httpx.AsyncClient) -> None:
    response = await service.get("/own", headers={"Authorization": "Bearer t"})
    assert response.headers["content-security-policy"] == "default-src 'none'"
    assert response.headers["cache-control"] == "private, max-age=60"
    assert response.headers["x-content-type-options"] == "sniff"
    assert response.headers["referrer-policy"] == "origin"
    assert response.headers["x-request-id"] == "of-the-handler"


async def test_the_page_at_docs_keeps_its_own_policy(service: httpx.AsyncClient) -> None:
    page = await service.get("/docs")
    assert page.headers.get_list("content-security-policy")[0].startswith("default-src 'none'; script-src 'self'")
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "X-Shop-Key"])
@pytest.mark.parametrize("path", ["/plain", "/key", "/nothing", "/stream", "/nowhere", "/broken"])
async def test_nothing_stores_what_credentials_have_opened(service: httpx.AsyncClient, name: str, path: str) -> None:
    assert (await service.get(path, headers={name: "secret"})).headers["cache-control"] == "no-store"
    assert "cache-control" not in (await service.get(path)).headers, "the control: without credentials"


HSTS = "strict-transport-security"
PROD: dict[str, Any] = {
    "ENV": "prod",
    "DB_URL": "postgres://db/shop",
    "REDIS_URL": "redis://redis",
    "ADMIN_TOKEN": "Zx81-vq0m-37ab-kkd9",
}


class Transport:
    """A connection, over TLS or not."""

    def __init__(self, *, tls: bool) -> None:
        self._tls = tls

    def get_extra_info(self, name: str) -> object:
        return {"peername": ("127.0.0.1", 1), "ssl_object": object() if self._tls else None}.get(name)


def lines(sent: dict[str, str], *, tls: bool = False, own: dict[str, str] | None = None, **settings: Any) -> list[str]:
    """The lines that a service with those settings adds to a response with those headers."""
    config = XiTestConfig(**settings)
    proxies = TrustedProxies(config.TRUSTED_PROXIES) if config.TRUSTED_PROXIES else None
    context = SimpleNamespace(trusted_proxies=proxies, config=config)
    app: Any = SimpleNamespace(ctx=context, config={"REQUEST_ID_HEADER": "X-Request-ID"})
    transport: Any = Transport(tls=tls)
    asked = ServiceRequest(b"/", Header(sent), "1.1", "GET", transport, app)
    defaults = DefaultHeaders(config, id_header="X-Request-ID", credentials=["authorization"])
    response = text("x", headers=own)
    written = defaults.lines(asked, response)
    defaults.add(asked, response)
    added = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items() if name not in (own or {}))
    assert sorted(written.decode().split("\r\n")) == sorted(added.split("\r\n")), "both ways add the same"
    return [line for line in written.decode().split("\r\n") if line and not line.startswith("x-request-id: ")]


async def test_settings_change_them() -> None:
    with_token = {"Authorization": "Bearer t"}
    assert lines(with_token) == [*(f"{name}: {value}" for name, value in BY_DEFAULT.items()), "cache-control: no-store"]
    changed: dict[str, Any] = {
        "NOSNIFF": False,
        "REFERRER_POLICY": "no-referrer",
        "FRAME_ANCESTORS": "https://portal.example",
    }
    assert lines(with_token, **changed, NO_STORE=False) == [
        "referrer-policy: no-referrer",
        "content-security-policy: frame-ancestors https://portal.example",
    ]
    assert lines({}, NOSNIFF=False, REFERRER_POLICY="", FRAME_ANCESTORS="") == []


async def test_a_response_that_expires_by_itself_may_be_stored() -> None:
    own = {"Expires": "Thu, 01 Jan 2099 00:00:00 GMT"}
    assert lines({"Authorization": "Bearer t"}, own=own) == [f"{name}: {value}" for name, value in BY_DEFAULT.items()]


async def test_only_prod_over_tls_pins_browsers_to_tls() -> None:
    proto = {"X-Forwarded-Proto": "https"}
    trusting: dict[str, Any] = {"TRUSTED_PROXIES": ["127.0.0.1"]}
    pinned = f"{HSTS}: max-age=31536000"
    assert pinned in lines({}, tls=True, **PROD)
    assert pinned in lines(proto, **PROD, **trusting)
    assert pinned in lines(proto, **PROD, **trusting, own={"Vary": "Origin"})
    not_pinned = [
        lines({}, **PROD),
        lines(proto, **PROD),
        lines({}, **PROD, **trusting),
        lines({}, tls=True),
        lines(proto, **trusting),
        lines({}, tls=True, **PROD, HSTS_MAX_AGE=0),
        lines({}, tls=True, **PROD, own={"Strict-Transport-Security": "max-age=1"}),
        lines({"X-Forwarded-Proto": "http"}, tls=True, **PROD, **trusting),
    ]
    assert not any(HSTS in line for added in not_pinned for line in added)


@pytest.mark.parametrize("setting", ["REFERRER_POLICY", "FRAME_ANCESTORS"])
@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: a=b", "a\n", "\u00e9"])
async def test_a_setting_cannot_split_a_response(setting: str, value: str) -> None:
    values: dict[str, Any] = {setting: value}
    with pytest.raises(ConfigError, match=setting):
        XiTestConfig(**values)
