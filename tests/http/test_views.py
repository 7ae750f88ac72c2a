"""Views say by their signature what they take, and what they return goes into the envelope."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from pydantic import BaseModel, Field
from sanic import Blueprint, empty
from sanic.exceptions import Forbidden, Unauthorized
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase import APIView, Created, Page, bearer_token, create_app
from sanicbase.testing import client
from xi_test.config import XiTestConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}


class Thing(BaseModel):
    name: str = Field(min_length=1)
    count: int = 1


class Search(BaseModel):
    page: int = Field(1, ge=1)
    tags: list[str] = []


class ThingsAPI(APIView, public=True):
    async def get(self, request: Request, query: Search) -> Page[Thing]:
        return Page([Thing(name=tag) for tag in query.tags], total=query.page)

    async def post(self, request: Request, body: Thing) -> Created[Thing]:
        return Created(body, location="/things/1")

    async def put(self, request: Request, body: Thing, query: Search) -> dict[str, object]:
        return {"body": body, "query": query}

    async def delete(self, request: Request) -> HTTPResponse:
        return empty()


class BrokenAPI(APIView, public=True):
    async def get(self, request: Request) -> object:
        raise RuntimeError("the password is geheim")

    async def post(self, request: Request) -> object:
        return object()


class GuardedAPI(APIView):
    @classmethod
    async def admit(cls, request: Request) -> None:
        if request.method == "POST" and bearer_token(request) != "t0ken":
            raise Forbidden("That token may not.")

    async def get(self, request: Request) -> str:
        return "open"

    async def post(self, request: Request) -> int:
        return len(request.body)


async def nobody(request: Request) -> None:
    raise Unauthorized("Nobody may.", scheme="Bearer")


async def talk(request: Request, ws: object) -> None:
    raise AssertionError("let in")


async def plain(request: Request) -> HTTPResponse:
    return HTTPResponse("as it is")


def things() -> Blueprint:
    blueprint = Blueprint("things")
    ThingsAPI.attach(blueprint, "/things")
    BrokenAPI.attach(blueprint, "/broken")
    GuardedAPI.attach(blueprint, "/guarded")
    blueprint.add_websocket_route(talk, "/talk", ctx_guards=(nobody,))
    blueprint.add_route(plain, "/plain")
    return blueprint


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(redis_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one app for all tests, none of which leaves anything in it."""
    database = f"sqlite://{tmp_path_factory.mktemp('things')}/data.sqlite3"
    config = XiTestConfig(DB_URL=database, REDIS_URL=redis_server_url, REQUEST_MAX_SIZE=10_000)
    async with client(create_app(config, things())) as http:
        yield http


async def test_results_are_in_the_envelope(http: httpx.AsyncClient) -> None:
    created = await http.post("/things", json={"name": "a"})
    assert (created.status_code, created.json()) == (201, {"code": 0, "msg": "ok", "data": {"name": "a", "count": 1}})
    page = await http.get("/things", params={"page": 7, "tags": ["x", "y"]})
    assert page.json()["total"] == 7
    assert [thing["name"] for thing in page.json()["data"]] == ["x", "y"]
    both = await http.put("/things?page=2", json={"name": "b"})
    assert both.json()["data"]["query"]["page"] == 2
    assert (await http.delete("/things")).status_code == 204


@pytest.mark.parametrize(
    ("content", "path", "code"),
    [
        (b"[]", "body", "model_type"),
        (b"{}", "body.name", "missing"),
        (b'{"name": ""}', "body.name", "string_too_short"),
        (b'{"name": "a", "count": "x"}', "body.count", "int_type"),
    ],
)
async def test_a_body_that_does_not_fit_is_answered_422(
    http: httpx.AsyncClient, content: bytes, path: str, code: str
) -> None:
    response = await http.post("/things", content=content, headers=JSON)
    assert response.status_code == 422
    (error,) = response.json()["data"]
    assert (error["path"], error["code"]) == (path, code)


async def test_a_query_that_does_not_fit_is_answered_422(http: httpx.AsyncClient) -> None:
    response = await http.get("/things?page=0")
    assert response.status_code == 422
    assert response.json()["data"][0]["path"] == "query.page"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PATCH", "/things", 405), ("GET", "/broken", 500), ("POST", "/broken", 500)],
)
async def test_every_error_is_in_the_envelope(http: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    response = await http.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, status)
    assert "geheim" not in response.text
    assert "object" not in response.text


async def test_a_body_that_is_too_large_is_answered_413(http: httpx.AsyncClient) -> None:
    response = await http.post("/things", content=b"x" * 20_000)
    assert (response.status_code, response.json()["code"]) == (413, 413)


async def test_rules_are_kept_for_each_method(http: httpx.AsyncClient) -> None:
    assert (await http.get("/guarded")).json()["data"] == "open"
    refused = await http.post("/guarded", content=b"abc")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert (await http.post("/guarded", headers={"Authorization": "Bearer no"})).status_code == 403
    let_in = await http.post("/guarded", content=b"abc", headers={"Authorization": "bearer t0ken"})
    assert let_in.json()["data"] == 3


async def test_a_refused_client_need_not_send_the_body(http: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(b"POST /guarded HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n")
    response = await asyncio.wait_for(reader.readline(), 5)
    assert response.startswith(b"HTTP/1.1 401 ")
    writer.close()
    await writer.wait_closed()


async def test_guards_run_before_a_websocket_is_upgraded(http: httpx.AsyncClient) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    response = await http.get("/talk", headers={**headers, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="})
    assert response.status_code == 401


async def test_a_plain_handler_of_sanics_works_beside(http: httpx.AsyncClient) -> None:
    assert (await http.get("/plain")).text == "as it is"
