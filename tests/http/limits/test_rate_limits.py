"""Rate limits of views: what is counted together, the headers, and the answer beyond the limit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from sanic import Blueprint, Sanic, text
from sanic.exceptions import Unauthorized
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase import APIView, RateLimit, SanicBaseError, create_app, endpoint
from sanicbase.config import Config
from sanicbase.errors import ConfigError
from sanicbase.http.limits import address, header, user
from tests.http.conftest import ServeAs


@dataclass
class Person:
    id: str


class PersonalAPI(APIView, limit=RateLimit("2/minute", by=user)):
    """Who names himself is admitted; `nobody` is anonymous."""

    @classmethod
    async def admit(cls, request: Request) -> Person | None:
        name = request.headers.get("X-Name", "")
        if name == "thief":
            raise Unauthorized("No user has this name.")
        return Person(name) if name else None

    async def get(self, request: Request) -> str:
        return "hello"


class TwiceAPI(
    APIView,
    public=True,
    limit=(RateLimit("3/minute", by=address, name="pages"), RateLimit("2/hour", by=header("X-API-Key"))),
):
    async def get(self, request: Request) -> str:
        return "hello"


class WriteAPI(APIView, public=True, limit=RateLimit("1/minute", methods=["POST"])):
    async def get(self, request: Request) -> str:
        return "read"

    async def post(self, request: Request, body: dict[str, int]) -> str:
        return "written"


class FreeAPI(APIView, public=True, limit=()):
    async def get(self, request: Request) -> str:
        return "free"


class OtherAPI(APIView, public=True):
    async def get(self, request: Request) -> str:
        return "other"


@endpoint(public=True, limit=RateLimit("1/day", by=lambda request: request.args.get("tenant")))
async def tenants(request: Request) -> str:
    return "tenant"


@endpoint(public=True, limit=RateLimit("3/minute", by=address, name="pages"))
async def more_pages(request: Request) -> str:
    return "page"


def blueprint() -> Blueprint:
    blueprint = Blueprint("limited")
    for view, path in ((PersonalAPI, "/me"), (TwiceAPI, "/twice"), (WriteAPI, "/write"), (FreeAPI, "/free")):
        view.attach(blueprint, path)
    OtherAPI.attach(blueprint, "/other")
    tenants.attach(blueprint, "/tenants")
    more_pages.attach(blueprint, "/pages")
    blueprint.add_route(_plain, "/plain", name="plain")
    return blueprint


async def _plain(request: Request) -> HTTPResponse:
    return text("plain")


@pytest.fixture
async def http(serve_as: ServeAs) -> AsyncIterator[httpx.AsyncClient]:
    async with serve_as(blueprint(), RATE_LIMIT_TIMEOUT=5) as client:
        yield client


async def statuses(client: httpx.AsyncClient, path: str, count: int, **options: object) -> list[int]:
    return [(await client.get(path, **options)).status_code for _ in range(count)]  # type: ignore[arg-type]


async def test_users_are_counted_apart_and_anonymous_ones_by_their_address(http: httpx.AsyncClient) -> None:
    assert await statuses(http, "/me", 3, headers={"X-Name": "ann"}) == [200, 200, 429]
    assert await statuses(http, "/me", 3, headers={"X-Name": "bob"}) == [200, 200, 429]
    assert await statuses(http, "/me", 3) == [200, 200, 429]


async def test_a_limit_by_user_does_not_count_whom_admit_refuses(http: httpx.AsyncClient) -> None:
    assert await statuses(http, "/me", 4, headers={"X-Name": "thief"}) == [401] * 4


async def test_the_answer_is_429_in_the_envelope_and_says_when_to_try_again(http: httpx.AsyncClient) -> None:
    await statuses(http, "/me", 2)
    english = await http.get("/me")
    chinese = await http.get("/me", headers={"Accept-Language": "zh"})
    assert english.json() | {"request_id": ""} == {
        "code": 429, "msg": "Too many requests. Try again later.", "data": None, "request_id": "",
    }  # fmt: skip
    assert chinese.json()["msg"] == "请求过于频繁，请稍后再试。"
    assert 50 <= int(english.headers["Retry-After"]) <= 60


async def test_each_limit_of_a_view_is_in_the_headers(http: httpx.AsyncClient) -> None:
    response = await http.get("/twice", headers={"X-API-Key": "k" * 300})
    assert response.headers["RateLimit-Policy"] == '"pages";q=3;w=60, "x-api-key-3600";q=2;w=3600'
    assert response.headers["RateLimit"] == '"pages";r=2;t=60, "x-api-key-3600";r=1;t=3600'
    refused = [await http.get("/twice", headers={"X-API-Key": "k" * 300}) for _ in range(2)][-1]
    assert refused.status_code == 429
    assert '"x-api-key-3600";r=0' in refused.headers["RateLimit"]


async def test_a_request_without_the_key_is_not_counted_by_it(http: httpx.AsyncClient) -> None:
    response = await http.get("/twice")
    assert response.headers["RateLimit-Policy"] == '"pages";q=3;w=60'


async def test_limits_of_the_same_name_count_together(http: httpx.AsyncClient) -> None:
    assert await statuses(http, "/twice", 2) == [200, 200]
    assert await statuses(http, "/pages", 2) == [200, 429]


async def test_a_function_of_the_service_says_whose_a_request_is(http: httpx.AsyncClient) -> None:
    assert await statuses(http, "/tenants?tenant=a", 2) == [200, 429]
    assert await statuses(http, "/tenants?tenant=b", 1) == [200]
    assert await statuses(http, "/tenants", 3) == [200] * 3


async def test_only_the_named_methods_are_counted_and_before_the_body_is_read(http: httpx.AsyncClient) -> None:
    assert await statuses(http, "/write", 3) == [200] * 3
    assert (await http.post("/write", json={"a": 1})).status_code == 200
    assert (await http.post("/write", content=b"no json")).status_code == 429


async def test_the_default_limit_is_of_all_other_routes_and_never_of_health_checks(serve_as: ServeAs) -> None:
    async with serve_as(blueprint(), RATE_LIMIT="3/minute", RATE_LIMIT_TIMEOUT=5) as http:
        assert await statuses(http, "/other", 2) == [200, 200]
        assert await statuses(http, "/plain", 2) == [200, 429]
        assert await statuses(http, "/free", 5) == [200] * 5
        assert await statuses(http, "/livez", 5) == [200] * 5
        response = await http.get("/write")  # its own limits replace the default one
        assert response.status_code == 200
        assert "RateLimit" not in response.headers


async def test_without_limits_there_is_no_guard_and_no_hook(tmp_path: object) -> None:
    class ShopConfig(Config):
        SERVER_NAME = "shop"

    plain = Blueprint("plain")
    OtherAPI.attach(plain, "/other")
    app = create_app(ShopConfig(), plain)
    assert app.ctx.response_hooks == []
    assert all(not getattr(route.ctx, "guards", ()) for route in app.router.routes)
    Sanic.unregister_app(app)


@pytest.mark.parametrize("rate", ["", "many", "0/minute", "20000/minute", "1/decade", "5 per 2 years"])
def test_a_rate_that_cannot_be_counted_is_refused(rate: str) -> None:
    with pytest.raises(SanicBaseError, match="rate"):
        RateLimit(rate)


def test_an_invalid_default_limit_ends_the_start() -> None:
    class ShopConfig(Config):
        SERVER_NAME = "shop"

    with pytest.raises(ConfigError, match=r"SHOP_RATE_LIMIT.*100/minute"):
        ShopConfig(RATE_LIMIT="100")


async def test_a_view_with_limits_has_a_429_in_the_document(serve_as: ServeAs) -> None:
    async with serve_as(blueprint()) as http:
        document = (await http.get("/openapi.json")).json()
    assert "429" in document["paths"]["/twice"]["get"]["responses"]
    assert "401" not in document["paths"]["/twice"]["get"]["responses"]
    assert "429" not in document["paths"]["/other"]["get"]["responses"]
    assert "429" in document["paths"]["/write"]["post"]["responses"]
    assert "429" not in document["paths"]["/write"]["get"]["responses"]
