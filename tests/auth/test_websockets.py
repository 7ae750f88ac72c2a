"""WebSockets of browsers: a ticket opens one connection, which closes when its token expires."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sanic import Blueprint
from sanic.compat import Header
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from sanicbase import AccessToken, InvalidCredentials, Request, Tokens, WSView, create_app, has_token
from sanicbase.testing import client
from tests.auth import forging
from xi_test.config import XiTestConfig


@asynccontextmanager
async def service(redis_url: str, folder: Path) -> AsyncIterator[tuple[str, Tokens, list[int]]]:
    """The URL of a WebSocket that takes tickets, the tokens, and the codes with which its connections closed."""
    stores: Any = {"DB_URL": f"sqlite://{folder}/data.sqlite3", "REDIS_URL": redis_url, "LOG_DIR": folder / "logs"}
    config = XiTestConfig(JWT_SECRET=forging.SECRET, **stores)
    tokens = Tokens(config)
    codes: list[int] = []

    class TicketWS(WSView):
        user: AccessToken

        @classmethod
        async def admit(cls, request: Request) -> AccessToken:
            return await tokens.authenticate_ticket(request)

        async def on_connect(self) -> None:
            self.close_at(self.user.expires_at, reason="The token has expired.")
            await self.send(self.user.subject)

        async def on_disconnect(self, code: int) -> None:
            codes.append(code)

    class TokenWS(TicketWS):
        @classmethod
        async def admit(cls, request: Request) -> AccessToken:
            return await tokens.authenticate_subprotocol(request)

    class AnyWS(TicketWS):
        user: AccessToken | None  # type: ignore[assignment]

        @classmethod
        async def admit(cls, request: Request) -> AccessToken | None:  # type: ignore[override]
            return await tokens.authenticate(request) if has_token(request) else None

        async def on_connect(self) -> None:
            await self.send(self.user.subject if self.user else "anonymous")

    blueprint = Blueprint("tickets")
    TicketWS.attach(blueprint, "/ws")
    TokenWS.attach(blueprint, "/token")
    AnyWS.attach(blueprint, "/any")
    async with client(create_app(config, blueprint)) as http:
        yield f"ws://127.0.0.1:{http.base_url.port}/ws", tokens, codes


async def status(url: str) -> int:
    try:
        async with connect(url, proxy=None) as websocket:
            return 101 if await websocket.recv() == "7" else 0
    except InvalidStatus as exc:
        return exc.response.status_code


async def test_a_ticket_opens_one_connection(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path) as (url, tokens, _):
        pair = await tokens.sign_in(7)
        token = await tokens.verify(pair.access_token)
        ticket = await tokens.ticket(token)
        opened = await asyncio.gather(*(status(f"{url}?ticket={ticket}") for _ in range(5)))
        assert sorted(opened) == [101, 401, 401, 401, 401]
        another = await tokens.ticket(token)
        for query in (
            "",
            "?ticket=",
            f"?ticket={another[:-1]}",
            f"?ticket={another}x",
            f"?ticket={another}&ticket={another}",
            f"?ticket={pair.access_token}",
            f"?ticket={pair.refresh_token}",
            f"?token={another}",
        ):
            assert await status(url + query) == 401, query
        assert await status(f"{url}?ticket={another}") == 101  # the control
        last = await tokens.ticket(token)
        await tokens.sign_out(token.session)
        assert await status(f"{url}?ticket={last}") == 401


async def test_a_connection_closes_when_its_token_expires(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path) as (url, tokens, codes):
        verified = await tokens.verify((await tokens.sign_in(7)).access_token)
        token = replace(verified, expires_at=time.time() + 1)
        async with connect(f"{url}?ticket={await tokens.ticket(token)}", proxy=None) as websocket:
            assert await websocket.recv() == "7"
            with pytest.raises(ConnectionClosed) as closed:
                await websocket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "The token has expired.")
        assert time.time() >= token.expires_at
    assert codes == [1008]


@pytest.mark.parametrize("compression", [False, True])
async def test_a_token_is_offered_as_a_subprotocol(redis_url: str, tmp_path: Path, compression: bool) -> None:
    async with service(redis_url, tmp_path) as (url, tokens, _):
        token = (await tokens.sign_in(7)).access_token
        url = f"{url.removesuffix('/ws')}/token"
        offered = [Subprotocol("bearer"), Subprotocol(token)]
        deflate = "deflate" if compression else None
        async with connect(url, subprotocols=offered, proxy=None, compression=deflate) as websocket:
            assert await websocket.recv() == "7"
            assert websocket.subprotocol == "bearer"  # else a browser closes it, and the token is not sent back
            assert token not in str(websocket.response and websocket.response.headers)
        refused = [
            [],
            ["bearer"],
            [token],
            [token, "bearer"],
            ["bearer", "bearer", token],
            ["bearer", "graphql-ws", token],
            ["bearer", f"{token}a"],
            ["bearer", "a" * 4000],
            ["Bearer", token],
        ]
        for names in refused:
            with pytest.raises(InvalidStatus) as handshake:
                async with connect(url, subprotocols=[Subprotocol(name) for name in names], proxy=None):
                    pass
            answer = handshake.value.response
            assert (answer.status_code, "www-authenticate" in answer.headers) == (401, True), names
        (session,) = await tokens.devices(7)
        await tokens.sign_out(session.session)
        with pytest.raises(InvalidStatus, match="401"):
            async with connect(url, subprotocols=offered, proxy=None):
                pass


async def test_the_short_way_takes_a_token_in_each_place(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path) as (ticket_url, tokens, _):
        url = f"{ticket_url.removesuffix('/ws')}/any"
        token = (await tokens.sign_in(7)).access_token

        async def user(query: str = "", *offered: str, **headers: str) -> str:
            names = [Subprotocol(name) for name in offered] or None
            async with connect(url + query, subprotocols=names, additional_headers=headers, proxy=None) as websocket:
                assert websocket.subprotocol == ("bearer" if offered else None)
                return str(await websocket.recv())

        async def ticket() -> str:
            return f"?ticket={await tokens.ticket(await tokens.verify(token))}"

        assert await user() == "anonymous"
        assert await user(Authorization=f"Bearer {token}") == "7"
        assert await user("", "bearer", token) == "7"
        used = await ticket()
        assert await user(used) == "7"
        for query, offered, headers in (
            (used, (), {}),
            ("", ("bearer",), {}),
            ("", ("bearer", f"{token}a"), {}),
            ("", ("bearer", "bearer", token), {}),
            (await ticket(), (), {"Authorization": "Bearer a"}),  # the header comes first
            ("", ("bearer", token), {"Authorization": "Basic a"}),
        ):
            with pytest.raises(InvalidStatus, match="401"):
                await user(query, *offered, **headers)


async def test_a_request_that_opens_no_websocket_has_its_token_in_the_header(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path) as (_, tokens, _):
        token = (await tokens.sign_in(7)).access_token
        ticket = await tokens.ticket(await tokens.verify(token))
        nothing: Any = None
        headers = Header({"sec-websocket-protocol": f"bearer, {token}"})
        request: Any = Request(f"/?ticket={ticket}".encode(), headers, "1.1", "GET", nothing, nothing)
        assert not has_token(request)
        with pytest.raises(InvalidCredentials):
            await tokens.authenticate(request)
        assert (await tokens.authenticate(with_key(request))).subject == "7"  # the control


def with_key(request: Any) -> Any:
    request.headers["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    return request
