"""No forged token comes in: each is a 401 that says nothing of the inside, and the good one passes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sanic import Blueprint
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sanicbase import AccessToken, APIView, Request, Tokens, WSView, create_app
from sanicbase.testing import client
from tests.auth import forging
from xi_test.config import XiTestConfig


@asynccontextmanager
async def service(redis_url: str, folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Tokens, str]]:
    """A service whose views need a token, its tokens, and a session of user 7."""
    stores: Any = {"DB_URL": f"sqlite://{folder}/data.sqlite3", "REDIS_URL": redis_url, "LOG_DIR": folder / "logs"}
    config = XiTestConfig(JWT_SECRET=forging.SECRET, **stores)
    tokens = Tokens(config)

    class MeAPI(APIView):
        """The user of the token."""

        @classmethod
        async def admit(cls, request: Request) -> AccessToken:
            return await tokens.authenticate(request)

        async def get(self, request: Request, user: AccessToken) -> str:
            """The user of the token."""
            return user.subject

    class MeWS(WSView):
        user: AccessToken

        @classmethod
        async def admit(cls, request: Request) -> AccessToken:
            return await tokens.authenticate(request)

        async def on_connect(self) -> None:
            await self.send(self.user.subject)

    blueprint = Blueprint("me")
    MeAPI.attach(blueprint, "/me")
    MeWS.attach(blueprint, "/ws")
    async with client(create_app(config, blueprint)) as http:
        pair = await tokens.sign_in(7)
        yield http, tokens, pair.refresh_token.partition(".")[0]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_every_forged_token_is_a_401_that_says_nothing_of_the_inside(
    redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with service(redis_url, tmp_path) as (http, _, session):
        hostile = forging.hostile_tokens(session)
        assert len(hostile) >= 300
        wrong = {}
        for name, token in hostile.items():
            response = await http.get("/me", headers=bearer(token))
            challenge = response.headers.get("www-authenticate", "")
            leaked = [word for word in forging.INSIDE if word in response.text + challenge]
            if response.status_code != 401 or not challenge.startswith('Bearer error="invalid_token"') or leaked:
                wrong[name] = (response.status_code, challenge, leaked, token)
        assert not wrong
        for name, token in forging.huge_tokens(session):
            assert (await http.get("/me", headers=bearer(token))).status_code in (413, 431), name
        good = await http.get("/me", headers=bearer(forging.good_token(session)))  # the control
        assert (good.status_code, good.json()["data"]) == (200, "7")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert forging.SECRET not in caplog.text


async def test_a_websocket_refuses_the_same_tokens(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path) as (http, _, session):
        url = f"ws://127.0.0.1:{http.base_url.port}/ws"

        async def status(token: str) -> int:
            try:
                async with connect(url, additional_headers=bearer(token), proxy=None) as websocket:
                    return 101 if await websocket.recv() == "7" else 0
            except InvalidStatus as refused:
                response = refused.response
            return response.status_code if "invalid_token" in response.headers["www-authenticate"] else 0

        tokens = list(forging.hostile_tokens(session).values())[::12]  # the guard is the same; each takes a connection
        assert await asyncio.gather(*map(status, tokens)) == [401] * len(tokens)
        assert await status(forging.good_token(session)) == 101


async def test_forms_that_are_allowed_pass(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path) as (http, _, session):
        for changes in (
            {"aud": ["a", "xi_test"]},
            {"nbf": 1},
            {"extra": [1]},
            {"iat": forging.claims("")["iat"] + 2.5},
        ):
            token = forging.token(forging.header(), forging.claims(session, **changes))
            assert (await http.get("/me", headers=bearer(token))).status_code == 200, changes
        for kind in ("AT+JWT", "application/at+jwt"):
            token = forging.token(forging.header(typ=kind), forging.claims(session))
            assert (await http.get("/me", headers=bearer(token))).status_code == 200, kind
        just_expired = forging.claims(session)
        just_expired = {**just_expired, "iat": just_expired["iat"] - 600, "exp": just_expired["exp"] - 602}
        token = forging.token(forging.header(), just_expired)
        assert (await http.get("/me", headers=bearer(token))).status_code == 200  # within JWT_LEEWAY


async def test_the_message_of_an_expired_token_has_the_language_of_the_client(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path) as (http, _, session):
        old = {**forging.claims(session), "iat": 1, "exp": 2}
        headers = {**bearer(forging.token(forging.header(), old)), "Accept-Language": "zh"}
        response = await http.get("/me", headers=headers)
    assert response.json()["msg"] == "令牌已过期。"
    assert response.headers["www-authenticate"] == (
        'Bearer error="invalid_token", error_description="The token has expired."'
    )
