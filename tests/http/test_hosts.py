"""The hosts that a service answers to in prod."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sanic import Blueprint
from sanic import Request as SanicRequest
from sanic.response import HTTPResponse, text

from sanicbase import ConfigError, create_app
from sanicbase.testing import client
from tests.http.wire import exchange
from xi_test.config import XiTestConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALLOWED = ["shop.example.com", ".news.example", "192.0.2.1", "[2001:db8::1]"]


async def hello(request: SanicRequest[Any, Any]) -> HTTPResponse:
    return text(request.url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(redis_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    folder = tmp_path_factory.mktemp("hosts")
    blueprint = Blueprint("hosts")
    blueprint.add_route(hello, "/hello", methods=["GET", "OPTIONS"])
    stores: dict[str, Any] = {"DB_URL": f"sqlite://{folder}/data.sqlite3", "REDIS_URL": redis_server_url}
    config = XiTestConfig(
        **stores, LOG_DIR=folder,
        ENV="prod", ADMIN_TOKEN="Zx81-vq0m-37ab-kkd9",
        ALLOWED_HOSTS=ALLOWED, CORS_ORIGINS=["https://shop.example.com"], TRUSTED_PROXIES=["127.0.0.1"],
    )  # fmt: skip
    in_dev = XiTestConfig(
        **stores, LOG_DIR=folder
    )  # prod would refuse the empty database; the rules stay those of prod
    async with client(create_app(config, blueprint), in_dev) as opened:
        yield opened


async def status(http: httpx.AsyncClient, host: str, path: str = "/hello", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await http.get(path, headers={"Host": host, **named})).status_code


@pytest.mark.parametrize(
    "host",
    [
        "shop.example.com", "shop.example.com:8443", "SHOP.Example.com", "shop.example.com.", "shop.example.com.:80",
        "news.example", "a.news.example", "a.b.news.example", "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80",
        "[2001:DB8::1]", "shop.example.com:",
    ],
)  # fmt: skip
async def test_a_listed_host_is_served(http: httpx.AsyncClient, host: str) -> None:
    assert await status(http, host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "shop.example.com.evil.example", "evilshop.example.com", "a.shop.example.com", "example.com",
        "evilnews.example", "news.example.evil.example", ".news.example.evil", "192.0.2.10", "[2001:db8::2]",
        "shop.example.com..", "localhost", "127.0.0.1", "*", "shopxexample.com", "xn--shop.example.com",
    ],
)  # fmt: skip
async def test_any_other_host_is_refused(http: httpx.AsyncClient, host: str) -> None:
    assert await status(http, host) == 421
    assert await status(http, host, "/nowhere") == 421


async def test_the_error_response_has_a_message_and_all_headers(http: httpx.AsyncClient) -> None:
    response = await http.get("/hello", headers={"Host": "evil.example", "Origin": "https://shop.example.com"})
    assert response.json()["msg"] == "The service does not serve the host 'evil.example'."
    assert response.reason_phrase == "Misdirected Request"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["access-control-allow-origin"] == "https://shop.example.com"
    chinese = await http.get("/hello", headers={"Host": "evil.example", "Accept-Language": "zh"})
    assert chinese.json()["msg"] == "此服务不处理发往该主机的请求。"


async def test_a_preflight_for_another_host_is_refused(http: httpx.AsyncClient) -> None:
    headers = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "GET"}
    assert (await http.options("/hello", headers={**headers, "Host": "evil.example"})).status_code == 421
    assert (await http.options("/hello", headers={**headers, "Host": "shop.example.com"})).status_code == 204


async def test_a_load_balancer_asks_for_the_health_by_an_address(http: httpx.AsyncClient) -> None:
    for path in ("/livez", "/readyz"):
        assert await status(http, "10.0.0.7:8800", path) == 200
    for path in ("/livez/", "/livez/../hello", "//livez"):
        assert await status(http, "10.0.0.7:8800", path) == 421


async def test_the_host_is_the_one_that_a_trusted_proxy_names(http: httpx.AsyncClient) -> None:
    assert await status(http, "10.0.0.7", X_Forwarded_Host="shop.example.com") == 200
    assert await status(http, "shop.example.com", X_Forwarded_Host="evil.example") == 421
    assert await status(http, "10.0.0.7", X_Forwarded_Host="shop.example.com, evil.example") == 421


async def test_http_1_0_without_a_host_is_refused(http: httpx.AsyncClient) -> None:
    assert http.base_url.port is not None
    response = await asyncio.to_thread(exchange, http.base_url.port, b"GET /hello HTTP/1.0\r\n\r\n")
    assert response.status == 421


@pytest.mark.parametrize(
    "host", ["*", "*.example.com", "shop.example.com:80", "https://shop.example.com", "a b", "", "^a$"]
)
async def test_an_invalid_host_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(ConfigError, match="is not a host"):
        XiTestConfig(ALLOWED_HOSTS=[host])


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "10.0.0.1/8", "localhost", "*", "10.0.0.0/33", ""])
async def test_an_invalid_proxy_network_is_refused_at_the_start(network: str) -> None:
    with pytest.raises(ConfigError, match="TRUSTED_PROXIES"):
        XiTestConfig(TRUSTED_PROXIES=[network])
