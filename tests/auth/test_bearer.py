"""The header Authorization has one scheme and one token, for HTTP and WebSockets alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from sanic import Blueprint
from sanic.compat import Header
from sanic.exceptions import SanicException
from sanic.request import Request
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sanicbase import APIView, InvalidCredentials, WSView, bearer_token, create_app
from sanicbase.testing import client
from xi_test.config import XiTestConfig

GOOD = {
    "Bearer abc": "abc",
    "bearer abc": "abc",
    "BEARER   abc  ": "abc",
    " Bearer abc": "abc",
    "Bearer 1|a-b._~+/:=": "1|a-b._~+/:=",
    "Bearer abc==": "abc==",
    "Bearer " + "a" * 4096: "a" * 4096,
}
MALFORMED = [
    "",
    " ",
    "Bearer",
    "Bearer ",
    "Bearer  ",
    "abc",
    "Bearer a b",
    "Bearer a, Bearer b",
    "Bearer a,b",
    "Bearer a;b",
    "Bearer a, ",
    "Bearer: a",
    "Bearer=a",
    "Bearer\ta",
    "Bearer \t a",
    "Bearer\x0ba",
    "Bearer\xa0a",
    "Bearer\u3000a",
    'Bearer "a"',
    "Bearer 'a'",
    "Bearer <a>",
    "Bearer {a}",
    "Bearer a\x00",
    "Bearer a\n",
    "Bearer a\x7f",
    "Bearer =",
    "Bearer =a",
    "Bearer a=b",
    "Bearer a%00",
    "Bearer 茶",
    "Bearer \udcff\udcfe",
    "Bearer ａ",
    "Bеarer a",  # with a Cyrillic letter
    "Bearer\u200b a",
    "Bearer token=a",
    "Bearer Bearer a",
]
OTHER_SCHEMES = ["Basic abc", "Token abc", "Bearerx abc", "xBearer abc", "Digest abc", "Negotiate abc=="]
TOO_LONG = ["Bearer " + "a" * 4097, "Bearer " + "a " * 2100, "a" * 4200]


def request_with(header: str) -> Request[Any, Any]:
    nothing: Any = None  # the token is in the headers, and needs neither a connection nor an app
    return Request(b"/", Header({"authorization": header}), "1.1", "GET", nothing, nothing)


@pytest.mark.parametrize(("header", "token"), GOOD.items(), ids=range(len(GOOD)))
def test_one_scheme_and_one_token_are_read(header: str, token: str) -> None:
    assert bearer_token(request_with(header)) == token


@pytest.mark.parametrize("header", MALFORMED, ids=range(len(MALFORMED)))
def test_every_other_header_is_refused_with_the_reason(header: str) -> None:
    with pytest.raises(InvalidCredentials) as refused:
        bearer_token(request_with(header))
    assert refused.value.status_code == 401
    assert refused.value.headers == {
        "WWW-Authenticate": 'Bearer error="invalid_token", '
        'error_description="The header Authorization must have one scheme and one token."'
    }


@pytest.mark.parametrize("header", OTHER_SCHEMES)
def test_a_wrong_scheme_gets_the_right_one_without_an_error_code(header: str) -> None:
    with pytest.raises(InvalidCredentials) as refused:
        bearer_token(request_with(header))
    assert refused.value.headers == {"WWW-Authenticate": "Bearer"}
    if header.startswith("Token"):
        assert bearer_token(request_with(header), scheme="token") == "abc"


@pytest.mark.parametrize("header", TOO_LONG, ids=range(len(TOO_LONG)))
def test_a_huge_header_is_a_431(header: str) -> None:
    with pytest.raises(SanicException) as refused:
        bearer_token(request_with(header))
    assert refused.value.status_code == 431


class TokenAPI(APIView):
    """Answers with the token."""

    @classmethod
    async def admit(cls, request: Request[Any, Any]) -> str:
        return bearer_token(request)

    async def get(self, request: Request[Any, Any], user: str) -> str:
        """Answer with the token."""
        return user


class TokenWS(WSView):
    """Sends the token."""

    user: str

    @classmethod
    async def admit(cls, request: Request[Any, Any]) -> str:
        return bearer_token(request)

    async def on_connect(self) -> None:
        await self.send(self.user)


async def test_a_websocket_is_refused_as_a_request_is(redis_url: str, tmp_path: Path) -> None:
    blueprint = Blueprint("tokens")
    TokenAPI.attach(blueprint, "/token")
    TokenWS.attach(blueprint, "/ws")
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, LOG_DIR=tmp_path / "logs")
    async with client(create_app(config, blueprint)) as http:
        url = f"ws://127.0.0.1:{http.base_url.port}/ws"
        for header in (None, "Basic abc", "Bearer", "Bearer a b", "Bearer a,b", TOO_LONG[0]):
            headers = {} if header is None else {"Authorization": header}
            response = await http.get("/token", headers=headers)
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url, additional_headers=headers, proxy=None):
                    pass
            handshake = refused.value.response
            assert (handshake.status_code, handshake.headers.get("www-authenticate")) == (
                response.status_code,
                response.headers.get("www-authenticate"),
            )
            assert response.status_code == (431 if header == TOO_LONG[0] else 401)
        good = {"Authorization": "bEaReR good"}
        assert (await http.get("/token", headers=good)).json()["data"] == "good"
        async with connect(url, additional_headers=good, proxy=None) as websocket:
            assert await websocket.recv() == "good"


async def test_the_reason_is_in_the_language_of_the_client(redis_url: str, tmp_path: Path) -> None:
    blueprint = Blueprint("tokens")
    TokenAPI.attach(blueprint, "/token")
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, LOG_DIR=tmp_path / "logs")
    async with client(create_app(config, blueprint)) as http:
        headers = [("Authorization", "Bearer a b"), ("Accept-Language", "zh")]
        response: httpx.Response = await http.get("/token", headers=headers)
    assert response.json()["msg"] == "请求头 Authorization 必须由一个认证方案和一个令牌组成。"
    assert response.headers["www-authenticate"].isascii()
