"""Every failure, in every envelope, in both languages; and none says more than a stranger may know."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from sanic import Blueprint
from sanic.request import Request

from sanicbase import APIView, Envelope, ErrorMessage, Problem
from sanicbase.i18n import Language
from tests.http.conftest import ServeAs
from tests.http.failures import BROKEN, CASES, SECRET, Case, failing

Answer = dict[str, Any]


class OwnEnvelope(Envelope):
    """Such as a service has that must keep the contract of an older one."""

    error_media_type = "application/vnd.inn+json"

    def content(self, data: object, marks: object) -> object:
        return {"result": data}

    def error_content(self, request: Request, problem: Problem) -> object:
        return {"problem": [problem.code.name, problem.message, *(error.message for error in problem.errors)]}


ENVELOPES: dict[str, dict[str, Any]] = {
    "standard": {},
    "plain": {"ENVELOPE": "plain"},
    "problem": {"ENVELOPE": "problem"},
    "own": {"envelope": OwnEnvelope()},
}


def expected(kind: str, body: Answer, status: int, message: str, errors: list[dict[str, str]], path: str) -> Answer:
    """What the envelope should have made of a failure; the number, the name and the request's id are the answer's."""
    code, request_id = body.get("code"), body.get("request_id")
    if kind == "standard":
        return {"code": code, "msg": message, "data": errors or None, "request_id": request_id}
    if kind == "plain":
        return {"code": code, "message": message, "request_id": request_id, "errors": errors}
    if kind == "own":
        return {"problem": [body["problem"][0], message, *(error["message"] for error in errors)]}
    general = code == status
    return {
        "type": "about:blank" if general else body["type"],
        "title": HTTPStatus(status).phrase if general else body["title"],
        "status": status,
        "detail": message,
        "instance": path,
        "code": code,
        "request_id": request_id,
        "errors": errors,
    }


def check(kind: str, language: Language, name: str, case: Case, response: httpx.Response) -> None:
    body = response.json()
    message = case.chinese if language == "zh" else case.english
    errors = [
        {"path": path, "code": code, "message": chinese if language == "zh" else english}
        for path, code, english, chinese in case.errors
    ]
    assert response.status_code == case.status, name
    assert body == expected(kind, body, case.status, message, errors, response.request.url.raw_path.decode()), name
    assert response.headers["content-language"] == language
    assert {header: response.headers.get(header) for header in case.headers} == case.headers, name
    assert ("retry-after" in response.headers) == ("Retry-After" in case.headers), name
    assert "somebody" not in response.text
    if kind != "own":
        assert body["code"] == (case.code or case.status), name
        assert len(body["request_id"]) > 10
    media = {"problem": "application/problem+json", "own": "application/vnd.inn+json"}.get(kind, "application/json")
    assert response.headers["content-type"] == media


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ENVELOPES)
async def test_every_failure_has_its_answer(serve_as: ServeAs, kind: str, language: Language) -> None:
    async with serve_as(failing(), **ENVELOPES[kind]) as client:
        for name, case in CASES.items():
            response = await client.get(f"/failing/{name.replace(' ', '%20')}", headers={"Accept-Language": language})
            check(kind, language, name, case, response)


MISMATCHES: list[tuple[str, str, Case]] = [
    ("GET", "/nowhere", Case(Exception(), 404, "The resource was not found.", "资源不存在。")),
    (
        "DELETE",
        "/fine",
        Case(
            Exception(),
            405,
            "The method is not allowed for this path.",
            "此路径不支持该请求方法。",
            {"Allow": "GET, HEAD, OPTIONS"},
        ),
    ),
    (
        "GET",
        "/guarded",
        Case(
            Exception(),
            401,
            "Authentication is required. Send the header Authorization with a token.",
            "需要身份认证：请在请求头 Authorization 里携带令牌。",
            {"WWW-Authenticate": "Bearer"},
        ),
    ),
    ("POST", "/slow", Case(Exception(), 413, "The request is too large.", "请求过大。")),
    (
        "GET",
        "/slow",
        Case(
            Exception(),
            503,
            "The service is temporarily unavailable. Try again later.",
            "服务暂时不可用，请稍后再试。",
            {"Retry-After": "1"},
        ),
    ),
]  # fmt: skip
TIMEOUT = 0.3  # seconds, only where all that is sent takes longer: others take longer on a busy machine


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ENVELOPES)
async def test_refusals_of_sanic_have_their_response(serve_as: ServeAs, kind: str, language: Language) -> None:
    async def check_all(mismatches: list[tuple[str, str, Case]], **settings: Any) -> None:
        async with serve_as(failing(), **settings, **ENVELOPES[kind]) as client:
            for method, path, case in mismatches:
                headers = {"Accept-Language": language}
                content = b"x" * 2000 if method == "POST" else None
                response = await client.request(method, path, headers=headers, content=content)
                check(kind, language, f"{method} {path}", case, response)

    *at_once, slow = MISMATCHES
    await check_all(at_once)
    await check_all([slow], RESPONSE_TIMEOUT=TIMEOUT)


SAID = {"standard": "msg", "plain": "message", "problem": "detail"}
RAW = [
    (b"nonsense\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\n\r\n", 505),
    (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    (b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400),
    (b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n", 400),
    (b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: much\r\n\r\n", 417),
    (b"GET / HTTP/1.1\r\nHost: x\r\nBig: " + b"x" * 20_000 + b"\r\n\r\n", 431),
    (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: x", 408),
]


@pytest.mark.parametrize("kind", ENVELOPES)
async def test_an_invalid_request_is_answered_in_the_language_of_the_setting(serve_as: ServeAs, kind: str) -> None:
    async def check_all(requests: list[tuple[bytes, int]], **settings: Any) -> None:
        async with serve_as(failing(), LANGUAGE="zh", **settings, **ENVELOPES[kind]) as client:
            for sent, status in requests:
                response = await raw(client, sent)
                assert response.status_code == status, sent
                assert response.headers["content-language"] == "zh"
                body = response.json()
                message = (
                    body["problem"][1] if kind == "own" else body.get("msg", body.get("detail", body.get("message")))
                )
                assert message.endswith("。")
                assert kind == "own" or body["code"] == status

    *whole, half = RAW
    await check_all(whole)
    await check_all([half], REQUEST_TIMEOUT=TIMEOUT)


async def raw(client: httpx.AsyncClient, sent: bytes) -> httpx.Response:
    """The answer to bytes that httpx would not send."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(sent)
    with contextlib.suppress(ConnectionError):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    content = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    return httpx.Response(int(lines[0].split()[1]), headers=headers, content=content)


async def test_a_service_whose_own_envelope_fails_answers_in_the_standard_one(
    serve_as: ServeAs, tmp_path: Path
) -> None:
    class Careless(Envelope):
        def error_content(self, request: Request, problem: Problem) -> object:
            return object()

    async with serve_as(failing(), envelope=Careless()) as client:
        response = await client.get("/nowhere")
    body = response.json()
    assert (response.status_code, body["code"], body["msg"]) == (500, 500, BROKEN[0])
    assert "Careless cannot render NotFound." in (tmp_path / "logs" / "xi_test" / "run.log").read_text()


async def test_the_first_hundred_of_a_million_errors_are_reported(serve_as: ServeAs) -> None:
    class Numbers(BaseModel):
        numbers: list[int]

    class NumbersAPI(APIView, public=True):
        async def post(self, request: Request, body: Any) -> None: ...

        post.__annotations__["body"] = Numbers

    blueprint = Blueprint("numbers")
    NumbersAPI.attach(blueprint, "/numbers")
    async with serve_as(blueprint, REQUEST_MAX_SIZE=100_000) as client:
        response = await client.post("/numbers", json={"numbers": ["x"] * 10_000})
    assert (response.status_code, len(response.json()["data"])) == (422, 100)


class Bid(BaseModel):
    amount: int

    @field_validator("amount")
    @classmethod
    def enough(cls, amount: int, info: ValidationInfo) -> int:
        if amount < 10:
            raise PydanticCustomError("too_cheap", "Bid {least} or more.", {"least": 10})
        return amount


async def test_the_errors_of_a_service_are_in_both_languages(serve_as: ServeAs) -> None:
    class BidAPI(APIView, public=True):
        async def post(self, request: Request, body: Bid) -> None: ...

    blueprint = Blueprint("bids")
    BidAPI.attach(blueprint, "/bids")
    messages = {"too_cheap": ErrorMessage("At least {least}, please.", "出价不得低于 {least}。")}
    async with serve_as(blueprint, messages=messages) as client:
        for language, said in [("en", "At least 10, please."), ("zh-CN", "出价不得低于 10。")]:
            response = await client.post("/bids", json={"amount": 1}, headers={"Accept-Language": language})
            assert response.json()["data"] == [{"path": "body.amount", "code": "too_cheap", "message": said}]


ReadLog = Callable[[], str]


@pytest.fixture
async def service_log(serve_as: ServeAs, tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, ReadLog]]:
    """A client of a service that fails, and what is in its log file."""
    log = tmp_path / "logs" / "xi_test" / "run.log"
    async with serve_as(leaking(), LOG_FORMAT="text", ACCESS_LOG=True) as client:
        yield client, lambda: log.read_text(encoding="utf-8") if log.exists() else ""


def leaking() -> Blueprint:
    class LoginAPI(APIView, public=True):
        async def post(self, request: Request) -> None:
            headers, password = dict(request.headers), request.json["password"]
            raise RuntimeError(f"{headers} password={password!r}")

    blueprint = Blueprint("leaking")
    LoginAPI.attach(blueprint, "/login")
    return blueprint


async def test_a_bug_is_a_500_with_the_request_id_and_its_traceback_is_in_the_log_without_secrets(
    service_log: tuple[httpx.AsyncClient, ReadLog],
) -> None:
    client, log = service_log
    headers = {"Authorization": "Bearer t0p-s3cret", "Cookie": "session=c00kie"}
    response = await client.post("/login?token=qu3ry", json={"password": "hunter22"}, headers=headers)
    assert response.status_code == 500
    request_id = response.headers["X-Request-ID"]
    assert response.json() == {"code": 500, "msg": BROKEN[0], "data": None, "request_id": request_id}
    deadline = asyncio.get_running_loop().time() + 10
    while "RuntimeError" not in (text := log()):  # a thread writes the log
        assert asyncio.get_running_loop().time() < deadline, text
        await asyncio.sleep(0.02)
    assert "POST /login failed." in text
    assert "Traceback (most recent call last)" in text
    assert request_id in text
    for secret in ("t0p-s3cret", "c00kie", "hunter22", "qu3ry"):
        assert secret not in text + response.text


async def test_a_server_that_is_away_is_one_line_of_the_log(serve_as: ServeAs, tmp_path: Path) -> None:
    async with serve_as(failing()) as client:
        await client.get("/failing/redis%20away")
        await client.get("/failing/query")
    text = (tmp_path / "logs" / "xi_test" / "run.log").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if "sanicbase.http " in line]
    assert f"GET /failing/redis%20away returned 503. ConnectionError: {SECRET}" in line
    assert "Traceback" not in text
