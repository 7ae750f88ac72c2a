"""What no client of good manners sends: answered with 4xx, and with nothing of the inside."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest
from pydantic import BaseModel
from sanic import Blueprint
from sanic.request import Request

from sanicbase import APIView, Header, PageQuery
from tests.http.conftest import Serve
from xi_test.model_db.main import Article


class Thing(BaseModel):
    name: str


class ThingQuery(PageQuery):
    class Meta:
        source = Article
        filters = ("slug", "id__in", "created_at__gte")
        orders = ("id",)


class ThingsAPI(APIView, public=True):
    async def get(self, request: Request, query: ThingQuery) -> list[str]:
        return []

    async def post(self, request: Request, body: Thing, x_trace: Annotated[str, Header()] = "") -> Thing:
        return body


class ThingAPI(APIView, public=True):
    async def get(self, request: Request, name: str) -> str:
        return name


def get(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"


def post(body: bytes, *headers: bytes) -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"POST /v/things HTTP/1.1", b"Host: x", length, *headers, b"", body])


JSON = b"Content-Type: application/json"

BAD: list[tuple[bytes, int]] = [
    (get(b"/v/%2e%2e/%2e%2e/etc/passwd"), 404),
    (get(b"/v/../../etc/passwd"), 404),
    (get(b"/v//things"), 404),
    (get(b"//v/things"), 404),
    (get(b"/v/things/"), 404),
    (get(b"/v/thing/%00"), 404),
    (get(b"/v/thing/a%00.png"), 404),
    (get(b"/v/thing/"), 404),
    (get(b"/v/thing/a/b"), 404),
    (get(b"/v/thing/\xff"), 400),
    (get(b"/v/thing/\x00"), 400),
    (get(b"/v/thing/" + b"a" * 9000), 414),
    (get(b"*"), 400),
    (get(b""), 400),
    (get(b"things"), 400),
    (get(b"http://[::1/v/things"), 400),
    (get(b"/v/things?page=%zz"), 400),
    (get(b"/v/things?page=1&page=2"), 400),
    (get(b"/v/things?slug=%00"), 400),
    (get(b"/v/things?slug=\x00"), 400),
    (get(b"/v/things?id__in=" + b"1," * 200 + b"1"), 400),
    (get(b"/v/things?created_at__gte=99999999999"), 400),
    (get(b"/v/things?created_at__gte=9999-99-99"), 400),
    (get(b"/v/things?" + b"&".join([b"a"] * 600)), 422),
    (get(b"/v/things?__class__=x&%5B%5D=y"), 400),
    (b"BREW /v/things HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    (b"get /v/things HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    (b"TRACE /v/things HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    (b"DELETE /v/things HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"\xff /v/things HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /v/things HTTP/7.1\r\nHost: x\r\n\r\n", 505),
    (b"nonsense\r\n\r\n", 400),
    (b"GET /v/things HTTP/1.1\r\nno colon\r\n\r\n", 400),
    (b"GET /v/things HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    (b"GET /v/things HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (post(b"{}"), 415),
    (post(b"{}", JSON), 422),
    (post(b"[1, 2]", JSON), 422),
    (post(b"null", JSON), 422),
    (post(b"{", JSON), 400),
    (post(b"\xff\xfe{\x00}\x00", JSON), 400),
    (post(b"[" * 300, JSON), 422),
    (post(b"[" * 9000, JSON), 422),
    (post(b'{"name": "\\u0000"}', JSON), 422),
    (post(b'{"name": "a"}', JSON, b"X-Trace: \xff"), 422),
    (post(b'{"name": "a"}', JSON, b"X-Trace: a\x00b"), 400),
    (post(b'{"name": "a"}', JSON, b"X-Trace: a", b"X-Trace: b"), 422),
    (post(b'{"name": "a"}', b"Content-Type: ;;;="), 415),
    (post(b'{"name": "a"}', JSON, b"Content-Encoding: gzip"), 415),
    (post(b"x" * 20_000, JSON), 413),
]
INSIDE = ("Traceback", "sanicbase", "site-packages", "pydantic", 'File "', "0x")


@pytest.mark.parametrize(
    ("sent", "status"), BAD, ids=lambda value: repr(value)[2:40] if isinstance(value, bytes) else ""
)
async def test_a_bad_request_is_answered_and_learns_nothing(serve: Serve, sent: bytes, status: int) -> None:
    blueprint = Blueprint("v", url_prefix="/v", strict_slashes=True)
    ThingsAPI.attach(blueprint, "/things")
    ThingAPI.attach(blueprint, "/thing/<name:str>")
    async with serve(blueprint) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(sent)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        lines = head.decode().split("\r\n")
        lengths = [int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length")]
        body = (await asyncio.wait_for(reader.readexactly(lengths[0]), 5)).decode()
        writer.close()
    assert int(lines[0].split()[1]) == status, (lines[0], body)
    assert not [word for word in INSIDE if word in body]
    if status == 405:
        (allow,) = [line for line in lines if line.lower().startswith("allow:")]
        assert {*allow.partition(": ")[2].split(", ")} == {"GET", "HEAD", "OPTIONS", "POST"}
