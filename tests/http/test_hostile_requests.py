"""Whatever bytes a client sends: at most 4xx, in the envelope, and nothing in the log that looks like a defect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sanic import Blueprint, text
from sanic.exceptions import Unauthorized
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase import APIView, Cookie, Header, bearer_token, endpoint, token_digest
from sanicbase.log import flush_logging
from tests.http.conftest import ServeAs
from tests.http.wire import Answer, exchange, leave, request


class User(BaseModel):
    digest: str


class Thing(BaseModel):
    name: str


class TokenAPI(APIView):
    @classmethod
    async def admit(cls, request: Request) -> User:
        return User(digest=token_digest(bearer_token(request)))

    async def get(self, request: Request, user: User) -> User:
        return user


class NobodyAPI(APIView):
    @classmethod
    async def admit(cls, request: Request) -> User | None:
        return None

    async def get(self, request: Request, user: User) -> User:
        return user


class KeyAPI(NobodyAPI):
    security = {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}


class BasicAPI(NobodyAPI):
    security = {"basic": {"type": "http", "scheme": "basic"}}


class ItemAPI(APIView, public=True):
    async def get(self, request: Request, name: str, x_trace: Annotated[str, Header()] = "") -> str:
        return x_trace

    async def post(self, request: Request, name: str, body: Thing, sid: Annotated[str, Cookie()] = "") -> Thing:
        return body


@endpoint(public=True)
async def refused(request: Request) -> None:
    raise Unauthorized("The session is over.")


@endpoint(public=True, security={"token": {"type": "http", "scheme": "Token"}})
async def refused_by_name(request: Request) -> None:
    raise Unauthorized("The session is over.")


@endpoint(public=True)
async def refused_by_digest(request: Request) -> None:
    raise Unauthorized("The session is over.", scheme="Digest", realm="inn")


async def plain(request: Request) -> HTTPResponse:
    return text(token_digest(request.headers.get("authorization", "") + request.args.get("token", "")))


async def slow(request: Request) -> HTTPResponse:
    waiting.append(request.path)
    await asyncio.Event().wait()
    return text("never")


async def cancelled(request: Request) -> HTTPResponse:
    raise asyncio.CancelledError


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


async def unspeakable(request: Request) -> HTTPResponse:
    raise Unspeakable


waiting: list[str] = []


def inn() -> Blueprint:
    blueprint = Blueprint("inn")
    for view, path in ((TokenAPI, "token"), (NobodyAPI, "nobody"), (KeyAPI, "key"), (BasicAPI, "basic")):
        view.attach(blueprint, f"/{path}")
    ItemAPI.attach(blueprint, "/items/<name>")
    for function in (refused, refused_by_name, refused_by_digest):
        function.attach(blueprint, f"/{function.name}")
    for handler in (slow, cancelled, unspeakable):
        blueprint.add_route(handler, f"/{handler.__name__}", methods=["GET", "POST"])
    blueprint.add_route(plain, "/", methods=["GET", "OPTIONS"], name="root")
    return blueprint


@dataclass(frozen=True)
class Inn:
    """A running service, and its logs."""

    port: int
    folder: Path

    def log(self, name: str = "run.log") -> str:
        flush_logging()
        return (self.folder / name).read_text(encoding="utf-8")

    def complaints(self) -> list[str]:
        """The lines of its log that ask somebody to look, but for the stores, refused sign-ins, and what
        cache models say of a machine that is too busy for their heartbeat."""
        return [
            line
            for line in self.log().splitlines()
            if (" ERROR " in line or " WARNING " in line or "Traceback" in line)
            and not any(said in line for said in ("sanicbase.db", "sanicbase.rc", "sanicbase.cache", REFUSED))
        ]

    async def send(self, sent: bytes) -> Answer:
        return await asyncio.to_thread(exchange, self.port, sent)

    async def logged(self, text: str) -> str:
        """The line of its log with that text, once it is there."""
        async with asyncio.timeout(10):
            while True:
                if lines := [line for line in self.log().splitlines() if text in line]:
                    return lines[0]
                await asyncio.sleep(0.02)


@pytest.fixture
async def running(serve_as: ServeAs, tmp_path: Path) -> AsyncIterator[Inn]:
    proxies: dict[str, Any] = {"TRUSTED_PROXIES": ["127.0.0.1"]}
    log: dict[str, Any] = {"LOG_FORMAT": "text", "ACCESS_LOG": True}
    async with serve_as(inn(), **proxies, **log, REQUEST_MAX_SIZE=10_000) as client:
        assert client.base_url.port is not None
        yield Inn(client.base_url.port, tmp_path / "logs" / "xi_test")


REFUSED = " returned 401, client "  # of a sign-in
JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
GARBAGE = (
    b"\xff\xfe", b"\xed\xa0\x80", b"\xe9", "中😀".encode(), b"\x00", b"\x7f", b"a\x0bb", b"a\nb", b"a\rb", b"",
    b'"', b";=;=", b",,,", b"%", b"%ff%00", b"=?x?=", b"9" * 5000, b"\\" * 50, b"[::", b"-1", b"nan",
)  # fmt: skip
NAMES = (
    b"Authorization", b"Accept", b"Accept-Encoding", b"Accept-Language", b"Connection", b"Content-Disposition",
    b"Content-Encoding", b"Content-Type", b"Cookie", b"Forwarded", b"Host", b"If-Match", b"If-Modified-Since",
    b"If-None-Match", b"If-Range", b"Origin", b"Range", b"Referer", b"Upgrade", b"User-Agent", b"X-Forwarded-For",
    b"X-Forwarded-Host", b"X-Forwarded-Path", b"X-Forwarded-Port", b"X-Forwarded-Proto", b"X-Request-ID", b"X-Trace",
    b"", b"\xff", b"a b", b"\x00",
)  # fmt: skip


def post(*headers: bytes, body: bytes = b'{"name": "a"}') -> bytes:
    return request(b"/items/a", *headers, method=b"POST", body=body)


def in_headers() -> dict[bytes, tuple[int, ...]]:
    """Garbage in every header, and the statuses that may answer it."""
    fine = (200, 400, 401, 415, 417, 422)
    bodies = {
        post(b"Content-Type: application/json" + between + value, b"Content-Length: 13"): fine
        for value in GARBAGE
        for between in (b"", b";", b"; charset=", b"; boundary=")
    }
    return {
        **{request(b"/items/a", name + b": " + value): fine for name in NAMES for value in GARBAGE},
        **{request(b"/token", b"Authorization: Bearer " + value): (*fine, 431) for value in GARBAGE},
        **{request(b"/token", b"Authorization: " + value): (*fine, 431) for value in GARBAGE},
        **{request(b"/", b"Authorization: " + value): fine for value in GARBAGE},
        **{request(b"/items/a", b"X-Forwarded-For: 10.0.0.1, " + value): fine for value in GARBAGE},
        **{post(JSON, b"Content-Length: 13", b"Cookie: sid=" + value): fine for value in GARBAGE},
        **bodies,
    }


ADDRESSES: dict[bytes, tuple[int, ...]] = {
    b"http://x": (200,),
    b"http://X?x=1": (200,),
    b"http://x#f": (400,),
    b"http://x/items/b": (200,),
    b"http://a/items/b": (400,),
    b"http://x:99999/": (400,),
    b"http://u:p@x/": (400,),
    b"ftp://x": (400,),
    b"http://": (400,),
    b"http:": (400,),
    b"http://[::1": (400,),
    b"a:80": (400,),
    b"a": (400,),
    b"*": (400,),
    b"": (400,),
    b"//": (200, 404),
    b"///items/a": (404,),
    b"?x": (400,),
    b"#": (400,),
    b"/?%ff=%ff&token=%ff%00%ed%a0%80": (200,),
    b"/items/%ff": (200,),
    b"/items/%ed%a0%80": (200,),
    b"/items/%": (200,),
    b"/items/%0d%0aX": (200,),
    b"/items/%00": (404,),
    b"/items/" + b"%2e%2e%2f" * 20: (200, 404),
    b"/items/a\x00": (400,),
    b"/items/\xff": (400,),
    b"/items/a\nb": (400,),
    b"/\xff" * 5000: (414,),
    b"\xff" * 16_000: (400, 414),
    b"/" + b"a" * 15_000: (414,),
    b"/" + b"a" * 70_000: (414,),
}
WIRE: dict[bytes, tuple[int, ...]] = {
    b"GET /\r\n\r\n": (400,),  # HTTP/0.9
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": (505,),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n": (400,),
    bytes(range(256)) + b"\r\n\r\n": (400,),
    b"\r\n\r\n": (400,),
    b"\x00" * 20_000: (414,),
    b"GET / HTTP/1.2\r\nHost: x\r\n\r\n": (505,),
    b"GET / http/1.1\r\n\r\n": (400,),
    b"GET  / HTTP/1.1\r\n\r\n": (400,),
    b"GET / HTTP/1.1 \r\n\r\n": (400,),
    b"GET / HTTP/1.0\r\n\r\n": (200,),
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000: (431,),
    request(b"/", b"no colon"): (400,),
    request(b"/", b"X: a", b" b"): (400,),
    request(b"/", b"X: " + b"x" * 20_000): (431,),
    **{
        request(b"/items/a", method=method): (status,)
        for method, status in {
            b"get": 501,
            b"\xff": 400,
            b"TRACE": 405,
            b"CONNECT": 501,
            b"NONE": 501,
            b"G" * 5000: 501,
            b"GE\x00T": 400,
        }.items()
    },
    request(b"/items/a", method=b""): (400, 405),
    post(JSON, b"Content-Length: 13"): (200,),
    post(JSON, b"Content-Length: 5"): (400,),
    post(JSON, b"Content-Length: -1"): (400,),
    post(JSON, b"Content-Length: +13"): (400,),
    post(JSON, b"Content-Length: 1_3"): (400,),
    post(JSON, b"Content-Length: 0x0d"): (400,),
    post(JSON, b"Content-Length: 13, 13"): (400,),
    post(JSON, b"Content-Length: "): (400,),
    post(JSON, b"Content-Length: \xff"): (400,),
    post(JSON, b"Content-Length: " + b"9" * 5000): (400, 413),
    post(JSON, b"Content-Length: 13", b"Content-Length: 13"): (400,),
    post(JSON, b"Content-Length: 13", CHUNKED): (400,),
    post(JSON, b"Content-Length: 13", b"Expect: much"): (417,),
    post(JSON, b"Content-Length: 13", b"Expect: \xff"): (417,),
    post(JSON, b"Content-Length: 13", b"Expect: 100-continue"): (200,),
    post(JSON, CHUNKED, body=b'd\r\n{"name": "a"}\r\n0\r\n\r\n'): (200,),
    post(JSON, CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"): (400,),
    post(JSON, CHUNKED, body=b"\xff\r\n{}\r\n0\r\n\r\n"): (400,),
    post(JSON, CHUNKED, body=b"-2\r\n{}\r\n0\r\n\r\n"): (400,),
    post(JSON, CHUNKED, body=b"f" * 16 + b"\r\n{}\r\n"): (413,),
    post(JSON, CHUNKED, body=b"f" * 30 + b"\r\n{}\r\n"): (400,),
    post(JSON, CHUNKED, body=b"x" * 200): (400,),
    post(JSON, CHUNKED, body=b'd\r\n{"name": "a"}\r\n0\r\nX: y\r\n\r\n'): (200,),
    post(JSON, b"Transfer-Encoding: gzip, chunked"): (501,),
    post(JSON, b"Transfer-Encoding: \xff"): (400,),
    post(JSON, JSON, b"Content-Length: 13"): (400,),
    post(JSON, b"content-type: text/plain", b"Content-Length: 13"): (400,),
    request(b"/token", b"Authorization: Bearer a", b"authorization: Bearer b"): (400,),
    request(b"/", b"Authorization: Bearer a", b"Authorization: Bearer a"): (400,),
}


def wrong(sent: bytes, response: Answer, allowed: tuple[int, ...]) -> str:
    """What is wrong with an answer; nothing where it is right."""
    exchange = f"{sent[:80]!r}: {response.status} {response.body[:200]!r}"
    if response.status not in allowed or not response.whole:
        return f"{exchange}, not {allowed}"
    if response.status == HTTPStatus.UNAUTHORIZED and not response.headers.get("www-authenticate"):
        return f"{exchange}, without a challenge"
    if response.status >= HTTPStatus.BAD_REQUEST:
        envelope = json.loads(response.body)
        if envelope.keys() != {"code", "msg", "data", "request_id"} or envelope["code"] != response.status:
            return f"{exchange}, outside of the envelope"
    return ""


TABLES = {
    "headers": in_headers(),
    "addresses": {request(path): allowed for path, allowed in ADDRESSES.items()},
    "wire": WIRE,
}


@pytest.mark.parametrize("table", TABLES)
async def test_every_request_has_its_answer_and_leaves_no_complaint(running: Inn, table: str) -> None:
    for sent, allowed in TABLES[table].items():
        assert not wrong(sent, await running.send(sent), allowed)
    assert (await running.send(request(b"/"))).status == 200
    assert running.complaints() == []
    for line in running.log("access.log").splitlines():
        assert line.startswith("20"), line
        assert line.isprintable()


async def test_no_bytes_in_a_header_or_an_address_make_it_fail(running: Inn) -> None:
    headers = st.tuples(st.sampled_from(NAMES), st.binary(max_size=40))

    @settings(max_examples=100, deadline=None)
    @given(path=st.binary(max_size=30), headers=st.lists(headers, max_size=3), token=st.binary(max_size=20))
    def attack(path: bytes, headers: list[tuple[bytes, bytes]], token: bytes) -> None:
        lines = [b": ".join(header) for header in headers]
        for sent in (
            request(b"/items/" + path.replace(b" ", b""), *lines),
            request(b"/token", b"Authorization: Bearer " + token, *lines),
        ):
            response = exchange(running.port, sent)
            assert 200 <= response.status < 500, (sent, response)

    await asyncio.to_thread(attack)
    assert running.complaints() == []


CHALLENGES = [
    ("token", "Bearer"),
    ("nobody", "Bearer"),
    ("key", "ApiKey"),
    ("basic", "Basic"),
    ("refused", "Bearer"),
    ("refused_by_name", "Token"),
    ("refused_by_digest", 'Digest realm="inn"'),
]


async def test_every_401_says_how_to_authenticate(running: Inn) -> None:
    responses = {path: await running.send(request(f"/{path}".encode())) for path, _ in CHALLENGES}
    assert {path: response.status for path, response in responses.items()} == dict.fromkeys(dict(CHALLENGES), 401)
    assert {path: response.headers["www-authenticate"] for path, response in responses.items()} == dict(CHALLENGES)


async def test_a_repeated_header_is_named(running: Inn) -> None:
    response = await running.send(request(b"/token", b"Authorization: Bearer a", b"Authorization: Bearer b"))
    assert json.loads(response.body)["data"] == [
        {"path": "header.authorization", "code": "repeated", "message": "This parameter must not be repeated."}
    ]


LEAVING = [
    (request(b"/slow"), "GET /slow: the client closed the connection before the response."),
    (post(JSON, b"Content-Length: 50"), "POST /items/a: the client closed the connection before the response."),
    (b"GET / HTTP/1.1\r\nHost", "The client closed the connection before its request was complete."),
]


@pytest.mark.parametrize(("sent", "message"), LEAVING, ids=["answer", "body", "head"])
async def test_a_client_that_leaves_is_one_line_for_information(running: Inn, sent: bytes, message: str) -> None:
    await asyncio.to_thread(leave, running.port, sent)
    line = await running.logged(message)
    assert " INFO " in line
    assert running.complaints() == []
    assert " 499 " in running.log("access.log")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost",
        post(JSON, b"Content-Length: 50", body=b"d\r\n{"),
        post(JSON, CHUNKED, body=b"d\r\n{"),
    ],
    ids=["head", "body", "chunk"],
)
async def test_a_request_that_does_not_arrive_is_the_clients_fault(
    serve_as: ServeAs, tmp_path: Path, sent: bytes
) -> None:
    async with serve_as(inn(), LOG_FORMAT="text", REQUEST_TIMEOUT=0.5) as client:
        assert client.base_url.port is not None
        service = Inn(client.base_url.port, tmp_path / "logs" / "xi_test")
        assert not wrong(sent, await service.send(sent), (408,))
        assert service.complaints() == []


async def test_a_handler_that_takes_too_long_is_the_services_fault(serve_as: ServeAs, tmp_path: Path) -> None:
    async with serve_as(inn(), LOG_FORMAT="text", RESPONSE_TIMEOUT=0.5) as client:
        assert client.base_url.port is not None
        service = Inn(client.base_url.port, tmp_path / "logs" / "xi_test")
        assert (await service.send(request(b"/slow"))).status == 503
    assert [line for line in service.complaints() if "GET /slow returned 503." in line]


async def test_a_handler_that_cancels_itself_is_a_503_with_a_reason(running: Inn) -> None:
    assert (await running.send(request(b"/cancelled"))).status == 503
    assert running.log().count("GET /cancelled returned 503. CancelledError.") == 1


async def test_an_exception_whose_message_fails_is_a_500_in_the_envelope(running: Inn) -> None:
    response = await running.send(request(b"/unspeakable"))
    assert not wrong(b"/unspeakable", response, (500,))
    assert "GET /unspeakable failed." in running.log()
