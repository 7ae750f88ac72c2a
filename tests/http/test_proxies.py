"""What proxies say of a request, its id, and its trace, on a running service: 127.0.0.1 is a trusted proxy of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sanic import Blueprint
from sanic import Request as SanicRequest
from sanic.exceptions import Unauthorized
from sanic.response import HTTPResponse, json

from sanicbase import bearer_token, create_app
from sanicbase.http.tracing import trace_headers
from sanicbase.log import flush_logging
from sanicbase.testing import client
from xi_test.config import XiTestConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


async def mirror(request: SanicRequest[Any, Any]) -> HTTPResponse:
    return json(
        {
            "ip": request.client_ip,
            "remote": request.remote_addr,
            "url": request.url,
            "id": request.id,
            "next": trace_headers(),
            "again": trace_headers(),
        }
    )


async def signed_in(request: SanicRequest[Any, Any]) -> HTTPResponse:
    bearer_token(request)
    raise Unauthorized("No user has this token.")


@dataclass(frozen=True)
class Service:
    """A service, its log, and clients at the trusted address and at another one."""

    proxy: httpx.AsyncClient
    stranger: httpx.AsyncClient
    log: Path

    async def mirrored(self, *headers: tuple[str, str], by_stranger: bool = False) -> dict[str, Any]:
        asking = self.stranger if by_stranger else self.proxy
        mirror: dict[str, Any] = (
            await asking.get("/mirror", headers=httpx.Headers(headers, encoding="latin-1"))
        ).json()
        return mirror

    async def line(self, name: str, text: str) -> str:
        async with asyncio.timeout(10):
            while True:
                flush_logging()
                lines = (self.log / name).read_text(encoding="utf-8").splitlines()
                if matching := [line for line in lines if text in line]:
                    return matching[-1]
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(redis_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("proxies")
    blueprint = Blueprint("mirror")
    blueprint.add_route(mirror, "/mirror")
    blueprint.add_route(signed_in, "/signed-in")
    config = XiTestConfig(
        DB_URL=f"sqlite://{folder}/data.sqlite3", REDIS_URL=redis_server_url, LOG_DIR=folder, ACCESS_LOG=True,
        TRUSTED_PROXIES=["127.0.0.1", "10.0.0.0/8"],
    )  # fmt: skip
    async with client(create_app(config, blueprint)) as proxy:
        transport = httpx.AsyncHTTPTransport(local_address="127.0.0.7")
        async with httpx.AsyncClient(transport=transport, base_url=proxy.base_url) as stranger:
            yield Service(proxy, stranger, folder / "xi_test")


FORWARDED = (
    ("X-Forwarded-For", "6.6.6.6, 198.51.100.7"),
    ("X-Forwarded-For", "10.1.1.1"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "shop.example"),
    ("Forwarded", "for=6.6.6.6"),
    ("X-Real-IP", "6.6.6.6"),
    ("X-Scheme", "ftp"),
    ("X-Forwarded-Port", "99"),
    ("X-Forwarded-Path", "/evil"),
)


async def test_a_trusted_proxy_says_whom_a_request_comes_from(service: Service) -> None:
    seen = await service.mirrored(*FORWARDED)
    assert (seen["ip"], seen["remote"]) == ("198.51.100.7", "198.51.100.7")
    assert seen["url"] == "https://shop.example/mirror"


async def test_other_addresses_are_not_trusted(service: Service) -> None:
    seen = await service.mirrored(*FORWARDED, by_stranger=True)
    assert (seen["ip"], seen["remote"]) == ("127.0.0.7", "")
    assert seen["url"].startswith("http://127.0.0.1:")


async def test_a_proxy_that_asks_for_itself_is_the_client(service: Service) -> None:
    assert (await service.mirrored())["ip"] == "127.0.0.1"


async def test_the_logs_have_the_clients_address(service: Service) -> None:
    headers = httpx.Headers([*FORWARDED, ("Authorization", "Bearer unknown"), ("X-Request-ID", "of-the-proxy.1")])
    assert (await service.proxy.get("/signed-in", headers=headers)).status_code == 401
    assert " 198.51.100.7 GET /signed-in 401 " in await service.line("access.log", " of-the-proxy.1 ")
    assert "returned 401, client 198.51.100.7." in await service.line("run.log", " of-the-proxy.1 ")
    headers["Authorization"] = "Bearer of-a-stranger"
    assert (await service.stranger.get("/signed-in", headers=headers)).status_code == 401
    assert "returned 401, client 127.0.0.7." in await service.line("run.log", "client 127.0.0.7")


async def test_a_request_has_the_id_of_the_proxy(service: Service) -> None:
    assert (await service.mirrored(("X-Request-ID", "a-B_c.9")))["id"] == "a-B_c.9"


@pytest.mark.parametrize("sent", ["", "a b", "a,b", "x" * 65, "a\tb", 'a"b', "<a>", "../a", "%0a", "\u00e9"])
async def test_an_id_that_could_forge_a_log_is_replaced(service: Service, sent: str) -> None:
    request_id = (await service.mirrored(("X-Request-ID", sent)))["id"]
    assert re.fullmatch(r"[0-9a-f]{32}", request_id)


async def test_an_id_that_is_sent_twice_is_replaced(service: Service) -> None:
    request_id = (await service.mirrored(("X-Request-ID", "a"), ("X-Request-ID", "b")))["id"]
    assert re.fullmatch(r"[0-9a-f]{32}", request_id)


async def test_an_untrusted_client_cannot_choose_the_request_id(service: Service) -> None:
    request_id = (await service.mirrored(("X-Request-ID", "chosen"), by_stranger=True))["id"]
    assert re.fullmatch(r"[0-9a-f]{32}", request_id)


async def test_a_trace_is_continued(service: Service) -> None:
    state = ("tracestate", "congo=t61rcWkgMzE"), ("tracestate", "rojo=00f067aa0ba902b7")
    seen = await service.mirrored(("traceparent", f"00-{TRACE}-{PARENT}-01"), *state)
    version, trace_id, parent_id, flags = seen["next"]["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE, "01")
    assert re.fullmatch(r"[0-9a-f]{16}", parent_id)
    assert parent_id not in (PARENT, seen["again"]["traceparent"].split("-")[2])
    assert seen["next"]["tracestate"] == "congo=t61rcWkgMzE, rojo=00f067aa0ba902b7"
    assert f" trace_id={TRACE}" in await service.line("access.log", seen["id"])


@pytest.mark.parametrize(
    "sent",
    [
        (f"00-{TRACE}-{PARENT}-01",) * 2,
        (f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",),
        (f"00-{TRACE.upper()}-{PARENT}-01",),
        (f"00-{TRACE}-{PARENT}-1",),
        (f"00-{TRACE}-{PARENT}-01-more",),
        (f"00-{TRACE}-{PARENT}",),
        (f"00-{TRACE}0-{PARENT}-01",),
        (f"00-{'0' * 32}-{PARENT}-01",),
        (f"00-{TRACE}-{'0' * 16}-01",),
        (f"ff-{TRACE}-{PARENT}-01",),
        (f"0g-{TRACE}-{PARENT}-01",),
        (f"01-{TRACE}-{PARENT}-01more",),
        (f"00_{TRACE}_{PARENT}_01",),
        ("",),
    ],
)
async def test_an_invalid_trace_is_ignored(service: Service, sent: tuple[str, ...]) -> None:
    seen = await service.mirrored(*[("traceparent", value) for value in sent], ("tracestate", "a=b"))
    assert seen["next"]["traceparent"].startswith(f"00-{seen['id']}-"), "a new trace has the id of the request"
    assert seen["next"]["traceparent"].endswith("-00")
    assert "tracestate" not in seen["next"]
    assert "trace_id" not in await service.line("access.log", seen["id"])


async def test_a_later_version_is_read_as_far_as_it_is_known(service: Service) -> None:
    seen = await service.mirrored(("traceparent", f"cc-{TRACE}-{PARENT}-03-what-the-future-will-be-like"))
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", seen["next"]["traceparent"])


async def test_a_request_with_another_id_begins_one_trace(service: Service) -> None:
    seen = await service.mirrored(("X-Request-ID", "a-B_c.9"))
    first, second = (seen[name]["traceparent"].split("-")[1] for name in ("next", "again"))
    assert first == second
    assert re.fullmatch(r"[0-9a-f]{32}", first)


async def test_outside_of_a_request_each_call_begins_a_trace() -> None:
    assert trace_headers() != trace_headers()
