"""Cross-origin requests: exactly the listed origins, on every response, and preflights before all guards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from sanic import Blueprint
from sanic import Request as SanicRequest
from sanic.exceptions import Forbidden, Unauthorized
from sanic.response import HTTPResponse, text

from sanicbase import CORS, APIView, ConfigError, SanicBaseError, create_app, endpoint
from sanicbase.edge.response import add_vary
from sanicbase.testing import client
from tests.http.wire import exchange
from tests.http.wire import request as wire
from xi_test.config import XiTestConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOP = "https://shop.example.com"
NEWS = "https://news.example.com:8443"
OLD = "http://xn--bcher-kva.example"
LISTED = [SHOP, OLD, "http://[2001:db8::1]:3000"]
ALLOW = "access-control-allow-origin"
CREDENTIALS = "access-control-allow-credentials"
METHODS = "access-control-allow-methods"


class ThingAPI(APIView):
    @classmethod
    async def admit(cls, request: SanicRequest[Any, Any]) -> None:
        raise Unauthorized("Nobody comes in.")

    async def get(self, request: SanicRequest[Any, Any], thing: int) -> int:
        return thing

    async def put(self, request: SanicRequest[Any, Any], thing: int) -> int:
        return thing


class NewsAPI(APIView, public=True, cors=CORS([NEWS], credentials=True, headers=["X-News"], exposed_headers=[])):
    async def get(self, request: SanicRequest[Any, Any]) -> str:
        return "news"

    async def post(self, request: SanicRequest[Any, Any]) -> str:
        raise Forbidden("No.")


class MoreNewsAPI(NewsAPI):
    async def get(self, request: SanicRequest[Any, Any]) -> str:
        return "more"


class OpenAPI(APIView, public=True, cors=CORS(["*"])):
    async def get(self, request: SanicRequest[Any, Any]) -> str:
        return "open"


class ClosedAPI(APIView, public=True, cors=CORS([])):
    async def get(self, request: SanicRequest[Any, Any]) -> str:
        return "closed"


class SandboxAPI(APIView, public=True, cors=CORS(["null"])):
    async def get(self, request: SanicRequest[Any, Any]) -> str:
        return "sandbox"


@endpoint(public=True, cors=CORS([NEWS]))
async def ticker(request: SanicRequest[Any, Any]) -> str:
    return "tick"


async def plain(request: SanicRequest[Any, Any]) -> HTTPResponse:
    return text("plain", headers={"Vary": request.args.get("vary", "Accept-Language")})


async def own(request: SanicRequest[Any, Any]) -> HTTPResponse:
    return text("own", headers={"Access-Control-Allow-Origin": "https://own.example"})


async def broken(request: SanicRequest[Any, Any]) -> HTTPResponse:
    raise RuntimeError


async def stream(request: SanicRequest[Any, Any]) -> None:
    response = await request.respond(content_type="text/plain")
    assert response is not None
    await response.send("a")
    await response.eof()


async def require_token(request: SanicRequest[Any, Any]) -> None:
    """A service's middleware, which a preflight must not meet: it has no token."""
    if request.path == "/guarded" and "authorization" not in request.headers:
        raise Unauthorized("No token.")


def blueprint() -> Blueprint:
    blueprint = Blueprint("cors")
    ThingAPI.attach(blueprint, "/things/<thing:int>")
    for view, path in (
        (NewsAPI, "news"),
        (MoreNewsAPI, "more"),
        (OpenAPI, "open"),
        (ClosedAPI, "closed"),
        (SandboxAPI, "sandbox"),
    ):
        view.attach(blueprint, f"/{path}")
    ticker.attach(blueprint, "/ticker")
    for handler in (plain, own, broken, stream):
        blueprint.add_route(handler, f"/{handler.__name__}", methods=["GET", "POST"])
    blueprint.add_route(plain, "/guarded", methods=["GET", "DELETE"], name="guarded")
    blueprint.on_request(require_token)
    return blueprint


EDGE: dict[int, str] = {}  # by the port of a service


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sanicbase", "sanic"])
async def http(
    request: pytest.FixtureRequest, redis_server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    folder = tmp_path_factory.mktemp("cors")
    config = XiTestConfig(
        DB_URL=f"sqlite://{folder}/data.sqlite3", REDIS_URL=redis_server_url, LOG_DIR=folder, EDGE=request.param,
        CORS_ORIGINS=LISTED, CORS_MAX_AGE=7200, REQUEST_MAX_SIZE=1000, LOG_CONSOLE=False,
        REQUEST_TIMEOUT=1.5, RESPONSE_TIMEOUT=1.5,
    )  # fmt: skip
    async with client(create_app(config, blueprint())) as opened:
        assert opened.base_url.port is not None
        EDGE[opened.base_url.port] = request.param
        yield opened


async def preflight(http: httpx.AsyncClient, path: str, origin: str, method: str = "PUT") -> httpx.Response:
    headers = httpx.Headers({"Origin": origin, "Access-Control-Request-Method": method}, encoding="utf-8")
    return await http.options(path, headers=headers)


def cors_headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


async def test_a_preflight_is_answered_before_guards_with_the_methods_of_the_path(http: httpx.AsyncClient) -> None:
    response = await preflight(http, "/things/7", SHOP)
    assert (response.status_code, response.content) == (204, b"")
    assert cors_headers(response) == {
        ALLOW: SHOP,
        METHODS: "GET, HEAD, OPTIONS, PUT",
        "access-control-allow-headers": "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match",
        "access-control-expose-headers": "ETag, Location, Retry-After, X-Request-ID",
        "access-control-max-age": "7200",
    }
    assert response.headers["vary"] == "Origin"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert (await http.get("/things/7", headers={"Origin": SHOP})).status_code == 401, "the control: there is a guard"


async def test_a_preflight_meets_no_middleware(http: httpx.AsyncClient) -> None:
    assert (await preflight(http, "/guarded", SHOP, "DELETE")).headers[METHODS] == "DELETE, GET, OPTIONS"
    assert (await http.delete("/guarded")).status_code == 401, "the control"


async def test_a_preflight_of_an_unknown_origin_allows_nothing(http: httpx.AsyncClient) -> None:
    response = await preflight(http, "/things/7", "https://evil.example")
    assert (response.status_code, cors_headers(response)) == (204, {})
    assert response.headers["vary"] == "Origin"


async def test_a_preflight_of_a_missing_path_is_a_404(http: httpx.AsyncClient) -> None:
    for path in ("/nowhere", "/things/x"):
        response = await preflight(http, path, SHOP)
        assert (response.status_code, METHODS in response.headers) == (404, False)


async def test_options_without_a_preflight_are_answered_as_before(http: httpx.AsyncClient) -> None:
    response = await http.options("/things/7", headers={"Origin": SHOP})
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, PUT"
    assert METHODS not in response.headers


LENGTH = b"Content-Length: "
ORIGIN = b"Origin: " + SHOP.encode()
RESPONSES = [
    (wire(b"/plain", ORIGIN), 200),
    (wire(b"/stream", ORIGIN), 200),
    (wire(b"/plain", ORIGIN, b"Authorization: a", b"Authorization: b"), 400),
    (wire(b"/things/1", ORIGIN), 401),
    (wire(b"/nowhere", ORIGIN), 404),
    (wire(b"/plain", ORIGIN, method=b"DELETE"), 405),
    (wire(b"/plain", ORIGIN, LENGTH + b"10", method=b"POST", body=b"half"), 408),
    (wire(b"/plain", ORIGIN, LENGTH + b"1001", method=b"POST", body=b"x" * 1001), 413),
    (wire(b"/broken", ORIGIN), 500),
]


@pytest.mark.parametrize(("raw", "status"), RESPONSES)
async def test_a_page_may_read_every_response(http: httpx.AsyncClient, raw: bytes, status: int) -> None:
    assert http.base_url.port is not None
    response = await asyncio.to_thread(exchange, http.base_url.port, raw)
    assert (response.status, response.headers.get(ALLOW)) == (status, SHOP)
    assert "Origin" in response.headers["vary"].split(", ")
    without = await asyncio.to_thread(exchange, http.base_url.port, raw.replace(ORIGIN, b"X: y"))
    assert (without.status, without.headers.get(ALLOW)) == (status, None)
    assert "Origin" in without.headers["vary"].split(", "), "a cache must know that it depends on Origin"


NO_REQUESTS = [
    (b"no request at all\r\n\r\n", 400),
    (wire(b"/plain", ORIGIN, b"Host: y"), 400),
    (wire(b"/" + b"x" * 9000, ORIGIN), 414),
    (wire(b"/plain", ORIGIN, b"X: " + b"x" * 9000), 431),
]


@pytest.mark.parametrize(("raw", "status"), NO_REQUESTS, ids=lambda value: str(value)[:20])
async def test_an_unreadable_request_has_no_origin(http: httpx.AsyncClient, raw: bytes, status: int) -> None:
    """So a page cannot read the answer; but it is an answer, with the other headers."""
    assert http.base_url.port is not None
    response = await asyncio.to_thread(exchange, http.base_url.port, raw)
    if EDGE[http.base_url.port] == "sanicbase":  # Sanic accepts some of it
        assert response.status == status
        assert ALLOW not in response.headers
    assert response.headers["x-content-type-options"] == "nosniff"


HOSTILE = [
    "null", "*", "", "https://shop.example.com.evil.example", "https://evilshop.example.com",
    "https://shopxexample.com", "https://shop.example.com:444", "https://shop.example.com:443",
    "http://shop.example.com", "https://SHOP.example.com", "HTTPS://shop.example.com", "https://shop.example.com.",
    "https://shop.example.com/", "https://shop.example.com#", "https://a@shop.example.com",
    "https://shop.example.com@evil.example", "https://sub.shop.example.com", "https://example.com", "shop.example.com",
    "//shop.example.com", "https:shop.example.com", "https://shop.example.com https://evil.example",
    "https://shop.example.com,https://evil.example", "https://.*", "https://shop.example.com\\.evil.example",
    "http://b\u00fccher.example", "http://xn--bcher-kva.example.", "http://xn--bcher-kva.example:80",
    "http://[2001:db8::1]", "http://[2001:DB8::1]:3000", "http://2001:db8::1:3000", NEWS,
]  # fmt: skip


@pytest.mark.parametrize("origin", HOSTILE)
async def test_no_other_origin_is_allowed(http: httpx.AsyncClient, origin: str) -> None:
    headers = httpx.Headers({"Origin": origin}, encoding="utf-8")
    for path in ("/plain", "/broken", "/nowhere"):
        assert cors_headers(await http.get(path, headers=headers)) == {}
    assert cors_headers(await preflight(http, "/plain", origin)) == {}


@pytest.mark.parametrize("origin", LISTED)
async def test_each_listed_origin_is_allowed(http: httpx.AsyncClient, origin: str) -> None:
    response = await http.get("/plain", headers={"Origin": origin})
    assert (response.headers[ALLOW], CREDENTIALS in response.headers) == (origin, False)


async def test_two_origins_are_none(http: httpx.AsyncClient) -> None:
    assert cors_headers(await http.get("/plain", headers=[("Origin", SHOP), ("Origin", SHOP)])) == {}


@pytest.mark.parametrize(
    ("vary", "merged"),
    [
        ("Accept-Language", "Accept-Language, Origin"),
        ("accept , ORIGIN", "accept, ORIGIN"),
        ("*", "*"),
        ("X-Origin", "X-Origin, Origin"),
    ],
)
async def test_vary_is_merged(http: httpx.AsyncClient, vary: str, merged: str) -> None:
    assert (await http.get("/plain", params={"vary": vary})).headers.get_list("vary") == [merged]


async def test_a_handler_may_decide_by_itself(http: httpx.AsyncClient) -> None:
    response = await http.get("/own", headers={"Origin": SHOP})
    assert response.headers.get_list(ALLOW) == ["https://own.example"]


@pytest.mark.parametrize("path", ["/news", "/more"])
async def test_a_view_has_rules_of_its_own_and_passes_them_on(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path, headers={"Origin": NEWS})
    assert cors_headers(response) == {ALLOW: NEWS, CREDENTIALS: "true"}
    assert cors_headers(await http.get(path, headers={"Origin": SHOP})) == {}
    refused = await http.post(path, headers={"Origin": NEWS})
    assert (refused.status_code, refused.headers[ALLOW]) == (403, NEWS)
    allowed = await preflight(http, path, NEWS, "POST")
    assert (
        cors_headers(allowed).items()
        >= {METHODS: "GET, HEAD, OPTIONS, POST", "access-control-allow-headers": "X-News"}.items()
    )
    assert cors_headers(await preflight(http, path, SHOP)) == {}
    wrong = await http.delete(path, headers={"Origin": NEWS})
    assert (wrong.status_code, wrong.headers.get(ALLOW)) == (405, NEWS)


async def test_a_function_has_rules_as_well(http: httpx.AsyncClient) -> None:
    assert (await http.get("/ticker", headers={"Origin": NEWS})).headers[ALLOW] == NEWS
    assert ALLOW not in (await http.get("/ticker", headers={"Origin": SHOP})).headers


async def test_every_origin_may_read_an_open_view_without_credentials(http: httpx.AsyncClient) -> None:
    for origin in ("https://evil.example", "null"):
        response = await http.get("/open", headers={"Origin": origin})
        headers = response.headers
        assert (headers[ALLOW], CREDENTIALS in headers, "vary" in headers) == ("*", False, False)
    assert (await preflight(http, "/open", "https://any.example", "GET")).headers[METHODS] == "GET, HEAD, OPTIONS"


async def test_a_closed_view_is_for_no_page(http: httpx.AsyncClient) -> None:
    assert cors_headers(await http.get("/closed", headers={"Origin": SHOP})) == {}


async def test_null_is_allowed_where_it_is_listed(http: httpx.AsyncClient) -> None:
    assert (await http.get("/sandbox", headers={"Origin": "null"})).headers[ALLOW] == "null"


async def test_an_app_without_rules_has_no_hook() -> None:
    blueprint = Blueprint("plain")
    blueprint.add_route(plain, "/plain")
    assert create_app(XiTestConfig(), blueprint).ctx.response_hooks == []


REFUSED = [
    ("https://*.example.com", "list each origin by its full name"),
    ("*.example.com", "list each origin by its full name"),
    ("https://.*", "list each origin"),
    ("https://shop.example.com/", "write scheme, host and port, and nothing else"),
    ("https://shop.example.com/path", "nothing else"),
    ("https://u:p@shop.example.com", "nothing else"),
    ("shop.example.com", "nothing else"),
    ("https://", "nothing else"),
    ("https://a b", "nothing else"),
    ("https://shop.example.com:99999", "no such port"),
    ("https://b\u00fccher.example", "xn--"),
    ("https://shop.example.com\n", "nothing else"),
    ("", "nothing else"),
]


@pytest.mark.parametrize(("origin", "message"), REFUSED)
async def test_an_invalid_origin_is_refused_at_the_start(origin: str, message: str) -> None:
    with pytest.raises(ConfigError) as excinfo:
        XiTestConfig(CORS_ORIGINS=[origin])
    assert message in str(excinfo.value)
    with pytest.raises(SanicBaseError, match="CORS: "):
        CORS([origin])


async def test_origins_are_brought_into_the_form_of_browsers() -> None:
    written = [
        "HTTPS://Shop.Example.com:443",
        "http://a:80",
        "http://a:0080",
        "http://a:443",
        "app://Local",
        "https://a.",
    ]
    read = ["https://shop.example.com", "http://a", "http://a", "http://a:443", "app://local", "https://a."]
    assert read == XiTestConfig(CORS_ORIGINS=written).CORS_ORIGINS


async def test_credentials_for_everybody_are_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="list the origins"):
        XiTestConfig(CORS_ORIGINS=["*"], CORS_CREDENTIALS=True)
    with pytest.raises(SanicBaseError, match="list the origins"):
        CORS(["*"], credentials=True)
    with pytest.raises(SanicBaseError, match="write a list"):
        CORS(SHOP)
    with pytest.raises(SanicBaseError, match="not the name of a header"):
        CORS([SHOP], headers=["*"])


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30), st.sampled_from(LISTED), st.text(max_size=10))
async def test_only_equal_texts_are_equal_origins(before: str, origin: str, after: str) -> None:
    cors = CORS(LISTED)
    assert cors.allows(f"{before}{origin}{after}") is (before + after == "" or f"{before}{origin}{after}" in LISTED)


async def test_vary_names_each_header_once() -> None:
    response = HTTPResponse()
    for line in ("Cookie", "X-Accept-Encoding, origin"):
        response.headers.add("Vary", line)
    for name in ("Origin", "Accept-Encoding", "Accept-Encoding"):
        add_vary(response, name)
    assert response.headers.getall("vary") == ["Cookie, X-Accept-Encoding, origin, Accept-Encoding"]
