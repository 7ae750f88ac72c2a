"""Routes: who may come in, what a path has, what collides, what goes away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sanic import Blueprint
from sanic.exceptions import Forbidden, Unauthorized
from sanic.request import Request
from sanic.response import HTTPResponse, text

from sanicbase import APIView, Deprecation, SanicBaseError, create_app, deprecate, endpoint
from tests.http.conftest import Serve
from xi_test.config import XiTestConfig


class ThingAPI(APIView, public=True):
    async def get(self, request: Request, thing_id: int) -> int:
        return thing_id

    async def put(self, request: Request, thing_id: int) -> int:
        return -thing_id


class OtherAPI(APIView, public=True):
    async def get(self, request: Request, other_id: int) -> int:
        return other_id


class OpenAPIs(APIView, public=True):
    async def get(self, request: Request) -> str:
        return "open"


class ClosedAPI(APIView):
    async def get(self, request: Request) -> str:
        return "closed"


class UserAPI(APIView):
    asked = 0

    @classmethod
    async def admit(cls, request: Request) -> str | None:
        cls.asked += 1
        if request.headers.get("x-user") == "banned":
            raise Forbidden("Not you.")
        return request.headers.get("x-user")

    async def get(self, request: Request, user: str | None) -> str:
        return f"hello {user}"

    async def post(self, request: Request, user: str) -> str:
        return user

    async def delete(self, request: Request) -> str:
        return str(request.ctx.user)


async def known(request: Request) -> str:
    if "x-user" not in request.headers:
        raise Unauthorized("Who?", scheme="Bearer")
    return str(request.headers["x-user"])


async def nobody(request: Request) -> None: ...


@endpoint(admit=known)
async def me(request: Request, user: str) -> str:
    return user


@endpoint(public=True)
async def listed(request: Request) -> str:
    return "listed"


@endpoint(public=True)
async def create_thing(request: Request) -> str:
    return "made"


def app_of(*blueprints: Blueprint) -> Any:
    return create_app(XiTestConfig(DB_URL="sqlite://:memory:", REDIS_URL="redis://127.0.0.1:1/0"), *blueprints)


async def test_admit_returns_the_user(serve: Serve) -> None:
    blueprint = Blueprint("users")
    UserAPI.attach(blueprint, "/user")
    me.attach(blueprint, "/me")
    async with serve(blueprint) as client:
        ann = {"X-User": "ann"}
        assert (await client.get("/user")).json()["data"] == "hello None"
        assert (await client.get("/user", headers=ann)).json()["data"] == "hello ann"
        assert (await client.post("/user", headers=ann)).json()["data"] == "ann"
        assert (await client.delete("/user")).json()["data"] == "None"
        refused = await client.post("/user")
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await client.get("/user", headers={"X-User": "banned"})).status_code == 403
        assert (await client.get("/me")).status_code == 401
        assert (await client.get("/me", headers=ann)).json()["data"] == "ann"


async def test_admit_is_not_called_for_a_wrong_method_or_for_options(serve: Serve) -> None:
    blueprint = Blueprint("users")
    UserAPI.attach(blueprint, "/user")
    async with serve(blueprint) as client:
        before = UserAPI.asked
        wrong = await client.put("/user")
        assert wrong.status_code == 405
        assert {*wrong.headers["Allow"].split(", ")} >= {"GET", "POST", "DELETE"}
        assert (await client.request("PURGE", "/user")).status_code == 405
        assert (await client.request("BREW", "/user")).status_code == 501
        asked = await client.options("/user")
        assert (asked.status_code, asked.headers["Allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, POST")
        assert UserAPI.asked == before


async def test_options_has_the_methods_of_all_views_of_a_path(serve: Serve) -> None:
    blueprint = Blueprint("things")
    listed.attach(blueprint, "/things")
    create_thing.attach(blueprint, "/things", methods=("POST", "PUT"))
    ThingAPI.attach(blueprint, "/things/<thing_id:int>")
    async with serve(blueprint) as client:
        assert (await client.options("/things")).headers["Allow"] == "GET, HEAD, OPTIONS, POST, PUT"
        assert (await client.options("/things/7")).headers["Allow"] == "GET, HEAD, OPTIONS, PUT"
        wrong = await client.post("/things/7")
        assert wrong.status_code == 405
        assert {*wrong.headers["Allow"].split(", ")} == {"GET", "HEAD", "OPTIONS", "PUT"}
        assert (await client.get("/things")).json()["data"] == "listed"
        assert (await client.put("/things")).json()["data"] == "made"


def test_a_view_without_a_rule_is_refused() -> None:
    with pytest.raises(SanicBaseError, match=r"ClosedAPI at /x admits nobody\. .*public=True"):
        ClosedAPI.attach(Blueprint("x"), "/x")

    async def function(request: Request) -> None: ...

    with pytest.raises(SanicBaseError, match="function at /x admits nobody"):
        endpoint()(function).attach(Blueprint("x"), "/x")


def test_a_view_cannot_be_public_and_ask() -> None:
    with pytest.raises(SanicBaseError, match="BothAPI is public and defines an admit"):

        class BothAPI(APIView, public=True):
            @classmethod
            async def admit(cls, request: Request) -> None: ...


def test_a_route_whose_guards_would_not_run_is_refused() -> None:
    async def handler(request: Request) -> HTTPResponse:
        return HTTPResponse()

    blueprint = Blueprint("x")
    blueprint.add_route(handler, "/x", ctx_rules=())
    with pytest.raises(SanicBaseError, match=r"/x has ctx_rules, .*ctx_guards"):
        app_of(blueprint)


def test_a_class_that_asks_is_not_public_because_its_base_is() -> None:
    class AskingAPI(OpenAPIs):
        @classmethod
        async def admit(cls, request: Request) -> None:
            raise Forbidden("No.")

    blueprint = Blueprint("x")
    AskingAPI.attach(blueprint, "/x")
    (route,) = [route for route in app_of(blueprint).router.routes if route.path == "x" and "GET" in route.methods]
    assert len(route.ctx.guards) == 1


def test_a_user_parameter_without_admit_is_refused() -> None:
    async def takes(request: Request, user: str) -> None: ...

    with pytest.raises(SanicBaseError, match="takes takes a user, but its admit returns none"):
        endpoint(admit=nobody)(takes).attach(Blueprint("x"), "/x")
    with pytest.raises(SanicBaseError, match="takes takes a user, but takes at /x is public"):
        endpoint(public=True)(takes).attach(Blueprint("x"), "/x")


def test_a_path_and_a_method_name_the_same_parameters() -> None:
    with pytest.raises(SanicBaseError, match=r"OpenAPIs.get lacks 'thing_id', which /<thing_id:int> has"):
        OpenAPIs.attach(Blueprint("x"), "/<thing_id:int>")
    blueprint = Blueprint("x")
    ThingAPI.attach(blueprint, "/things")
    with pytest.raises(
        SanicBaseError, match=r"ThingAPI.get takes 'thing_id', which /things does not have: write <thing"
    ):
        app_of(blueprint)


def test_a_blueprints_prefix_may_name_parameters_too() -> None:
    blueprint = Blueprint("x", url_prefix="/<thing_id:int>")
    ThingAPI.attach(blueprint, "/thing")
    app_of(blueprint)
    blueprint = Blueprint("y", url_prefix="/<tenant:str>")
    OpenAPIs.attach(blueprint, "/thing")
    with pytest.raises(SanicBaseError, match=r"OpenAPIs.get lacks 'tenant', which /<tenant:str>/thing has"):
        app_of(blueprint)


def _twice(blueprint: Blueprint) -> list[Blueprint]:
    ThingAPI.attach(blueprint, "/things/<thing_id:int>")
    OtherAPI.attach(blueprint, "/things/<other_id:int>")
    return [blueprint]


def _of_two(blueprint: Blueprint) -> list[Blueprint]:
    other = Blueprint("other", url_prefix="/a")
    ThingAPI.attach(blueprint, "/a/<thing_id:int>/")
    OtherAPI.attach(other, "/<other_id:int>")
    return [blueprint, other]


def _beside_a_plain_one(blueprint: Blueprint) -> list[Blueprint]:
    listed.attach(blueprint, "/things")

    @blueprint.get("/things")
    async def plain(request: Request) -> HTTPResponse:
        return text("plain")

    return [blueprint]


@pytest.mark.parametrize(
    ("colliding", "names"),
    [
        (_twice, {"ThingAPI", "OtherAPI"}),
        (_of_two, {"ThingAPI", "OtherAPI"}),
        (_beside_a_plain_one, {"listed", "plain"}),
    ],
)
def test_two_routes_that_are_the_same_are_named(
    colliding: Callable[[Blueprint], list[Blueprint]], names: set[str]
) -> None:
    with pytest.raises(SanicBaseError, match="Two routes have the same path") as refused:
        app_of(*colliding(Blueprint("x")))
    assert all(name in str(refused.value) for name in names), refused.value


async def test_a_view_may_be_at_several_paths_and_versions(serve: Serve) -> None:
    blueprint = Blueprint("x", url_prefix="/x")
    for version in (1, 2):
        OpenAPIs.attach(blueprint, "/open", version=version)
    OpenAPIs.attach(blueprint, "/elsewhere")
    async with serve(blueprint) as client:
        for path in ("/v1/x/open", "/v2/x/open", "/x/elsewhere"):
            assert (await client.get(path)).json()["data"] == "open"
        assert (await client.get("/v3/x/open")).status_code == 404


async def test_every_response_of_a_deprecated_route_has_the_headers(serve: Serve) -> None:
    blueprint = Blueprint("x")
    gone = Deprecation(date(2026, 7, 1), sunset=datetime(2027, 1, 1, 12, tzinfo=UTC), link="https://example.org/v2")
    ThingAPI.attach(blueprint, "/things/<thing_id:int>", version=1, deprecated=gone)
    ThingAPI.attach(blueprint, "/things/<thing_id:int>", version=2)
    async with serve(blueprint) as client:
        for response in (await client.get("/v1/things/7"), await client.get(f"/v1/things/{2**70}")):
            assert response.headers["Deprecation"] == "@1782864000"
            assert response.headers["Sunset"] == "Fri, 01 Jan 2027 12:00:00 GMT"
            assert response.headers["Link"] == '<https://example.org/v2>; rel="deprecation"; type="text/html"'
        assert response.status_code == 404
        assert "Deprecation" not in (await client.get("/v2/things/7")).headers


async def test_a_version_is_deprecated_as_a_whole(serve: Serve) -> None:
    blueprint = Blueprint("x", version=1)
    OpenAPIs.attach(blueprint, "/a")
    listed.attach(blueprint, "/b")
    deprecate(blueprint, Deprecation(date(2026, 7, 1)))
    async with serve(blueprint) as client:
        for path in ("/v1/a", "/v1/b"):
            response = await client.get(path)
            assert response.headers["Deprecation"] == "@1782864000"
            assert "Sunset" not in response.headers


def test_a_sunset_before_the_deprecation_is_refused() -> None:
    with pytest.raises(SanicBaseError, match="Set a later one"):
        Deprecation(date(2026, 7, 1), sunset=date(2026, 6, 1))
