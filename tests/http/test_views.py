"""Views say by their signature what they take, and what they return goes into the envelope."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel, Field
from sanic import Blueprint, empty
from sanic.exceptions import Forbidden, Unauthorized
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase import APIView, Created, Page, bearer_token
from tests.http.conftest import Serve

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


@pytest.fixture
def blueprint() -> Blueprint:
    blueprint = Blueprint("things")
    ThingsAPI.attach(blueprint, "/things")
    BrokenAPI.attach(blueprint, "/broken")
    GuardedAPI.attach(blueprint, "/guarded")
    return blueprint


async def test_what_a_view_returns_is_in_the_envelope(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        made = await client.post("/things", json={"name": "a"})
        assert (made.status_code, made.json()) == (201, {"code": 0, "msg": "ok", "data": {"name": "a", "count": 1}})
        page = await client.get("/things", params={"page": 7, "tags": ["x", "y"]})
        assert page.json()["total"] == 7
        assert [thing["name"] for thing in page.json()["data"]] == ["x", "y"]
        both = await client.put("/things?page=2", json={"name": "b"})
        assert both.json()["data"]["query"]["page"] == 2
        assert (await client.delete("/things")).status_code == 204


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
    serve: Serve, blueprint: Blueprint, content: bytes, path: str, code: str
) -> None:
    async with serve(blueprint) as client:
        answer = await client.post("/things", content=content, headers=JSON)
        assert answer.status_code == 422
        (mistake,) = answer.json()["data"]
        assert (mistake["path"], mistake["code"]) == (path, code)


async def test_a_query_that_does_not_fit_is_answered_422(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        answer = await client.get("/things?page=0")
        assert answer.status_code == 422
        assert answer.json()["data"][0]["path"] == "query.page"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PATCH", "/things", 405), ("GET", "/broken", 500), ("POST", "/broken", 500)],
)
async def test_every_error_is_in_the_envelope(
    serve: Serve, blueprint: Blueprint, method: str, path: str, status: int
) -> None:
    async with serve(blueprint) as client:
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (status, status)
        assert "geheim" not in answer.text
        assert "object" not in answer.text


async def test_a_body_that_is_too_large_is_answered_413(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        answer = await client.post("/things", content=b"x" * 20_000)
        assert (answer.status_code, answer.json()["code"]) == (413, 413)


async def test_rules_are_kept_for_each_method(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        assert (await client.get("/guarded")).json()["data"] == "open"
        refused = await client.post("/guarded", content=b"abc")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert (await client.post("/guarded", headers={"Authorization": "Bearer no"})).status_code == 403
        let_in = await client.post("/guarded", content=b"abc", headers={"Authorization": "bearer t0ken"})
        assert let_in.json()["data"] == 3


async def test_who_may_not_come_in_need_not_send_the_body(serve: Serve, blueprint: Blueprint) -> None:
    async with serve(blueprint) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(b"POST /guarded HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n")
        answer = await asyncio.wait_for(reader.readline(), 5)
        assert answer.startswith(b"HTTP/1.1 401 ")
        writer.close()
        await writer.wait_closed()


async def test_rules_are_kept_before_a_websocket_is_upgraded(serve: Serve) -> None:
    blueprint = Blueprint("guarded")

    async def nobody(request: Request) -> None:
        raise Unauthorized("Nobody may.", scheme="Bearer")

    async def talk(request: Request, ws: object) -> None:
        raise AssertionError("let in")

    blueprint.add_websocket_route(talk, "/talk", ctx_rules=(nobody,))
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    async with serve(blueprint) as client:
        answer = await client.get("/talk", headers={**headers, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="})
        assert answer.status_code == 401


async def test_a_plain_handler_of_sanics_works_beside(serve: Serve) -> None:
    blueprint = Blueprint("plain")

    @blueprint.get("/plain")
    async def plain(request: Request) -> HTTPResponse:
        return HTTPResponse("as it is")

    async with serve(blueprint) as client:
        assert (await client.get("/plain")).text == "as it is"


async def test_the_factory_can_be_called_many_times(serve: Serve, blueprint: Blueprint) -> None:
    for _ in range(3):
        async with serve(blueprint) as client:
            assert (await client.get("/things")).status_code == 200
