"""Whatever bytes a client sends to open a WebSocket: at most 4xx, and the log has no defect."""

from __future__ import annotations

import asyncio
import errno
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sanic import Blueprint, Websocket
from sanic.exceptions import Unauthorized
from sanic.request import Request

from sanicbase import bearer_token
from sanicbase.ws import WSView
from tests.http.wire import Answer, exchange, request
from tests.ws.conftest import Serve


class OpenWS(WSView, public=True):
    pass


class TokenWS(WSView):
    @classmethod
    async def admit(cls, request: Request) -> None:
        bearer_token(request)


class ClosedWS(WSView):
    @classmethod
    async def admit(cls, request: Request) -> None:
        raise Unauthorized("The session is over.")


async def plain(request: Request, ws: Websocket) -> None:
    await ws.close()


def doors() -> Blueprint:
    blueprint = Blueprint("doors")
    OpenWS.attach(blueprint, "/open")
    TokenWS.attach(blueprint, "/token")
    ClosedWS.attach(blueprint, "/closed")
    blueprint.add_websocket_route(plain, "/plain")
    return blueprint


UPGRADE = b"Upgrade: websocket"
CONNECTION = b"Connection: Upgrade"
VERSION = b"Sec-WebSocket-Version: 13"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
WHOLE = (UPGRADE, CONNECTION, VERSION, KEY)
GARBAGE = (b"\xff\xfe", b"\xe9", "中😀".encode(), b"\x00", b"\x7f", b"a\nb", b"a\rb", b"", b"9" * 5000, b",;=")
NAMES = (
    b"Authorization", b"Connection", b"Cookie", b"Host", b"Origin", b"Sec-WebSocket-Extensions", b"Sec-WebSocket-Key",
    b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Version", b"Upgrade", b"X", b"\xff", b"",
)  # fmt: skip

TABLE: dict[bytes, tuple[int, ...]] = {
    **{
        request(path, *WHOLE, name + b": " + value): (101, 400, 403, 426) if name == b"Origin" else (101, 400, 426)
        for path in (b"/open", b"/plain")
        for name in NAMES
        for value in GARBAGE
    },
    **{request(b"/token", *WHOLE, b"Authorization: Bearer " + value): (400, 401) for value in GARBAGE[:-2]},
    request(b"/open", *WHOLE): (101,),
    request(b"/plain", *WHOLE): (101,),
    request(b"/token", *WHOLE, b"Authorization: Bearer a"): (101,),
    request(b"/token", *WHOLE): (401,),
    request(b"/closed", *WHOLE): (401,),
    request(b"/token", *WHOLE, b"Authorization: Bearer a", b"Authorization: Bearer b"): (400,),
    request(b"/open"): (426,),
    request(b"/open", CONNECTION, VERSION, KEY): (426,),
    request(b"/open", UPGRADE, VERSION, KEY): (426,),
    request(b"/open", UPGRADE, CONNECTION, VERSION): (400,),
    request(b"/open", UPGRADE, CONNECTION, KEY): (400, 426),
    request(b"/open", *WHOLE, KEY): (400,),
    request(b"/open", *WHOLE, method=b"POST"): (405,),
    request(b"http://x/open", *WHOLE): (101,),
    request(b"http://x", *WHOLE): (404,),
    request(b"/nowhere", *WHOLE): (404,),
}


def is_gone(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOTCONN


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is in the log besides what is told of the stores of the test, which cache models find too slow on a busy
    machine, and of sign-ins that are refused.

    Sanic's own line about a client that is gone before its connection is handed out (ENOTCONN) is none of ours.
    """
    stores = ("sanicbase.cache", "sanicbase.db", "sanicbase.rc")
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
        and not record.name.startswith(stores)
        and " returned 401, client " not in record.getMessage()
        and not (record.name == "sanic.websockets" and record.exc_info and is_gone(record.exc_info[1]))
    ]


def check(sent: bytes, response: Answer, allowed: tuple[int, ...]) -> None:
    assert response.status in allowed, (sent, response)
    assert response.whole, (sent, response)
    if response.status >= 400:
        first, _ = json.JSONDecoder().raw_decode(response.body.decode())  # empty lines in a value begin another request
        assert first["code"] == response.status, (sent, response)
    if response.status == 401:
        assert response.headers["www-authenticate"].partition(" ")[0] == "Bearer", sent
    if response.status == 426:
        assert response.headers["upgrade"] == "websocket", sent


async def test_every_handshake_has_its_answer(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async with serve(doors()) as port:
        for sent, allowed in TABLE.items():
            check(sent, await asyncio.to_thread(exchange, port, sent), allowed)
    assert complaints(caplog) == []


async def test_no_bytes_in_a_header_make_a_handshake_fail(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async with serve(doors()) as port:

        @settings(max_examples=60, deadline=None)
        @given(name=st.sampled_from(NAMES), value=st.binary(max_size=40))
        def attack(name: bytes, value: bytes) -> None:
            sent = request(b"/open", *WHOLE, name + b": " + value)
            check(sent, exchange(port, sent), (101, 400, 403, 426) if name == b"Origin" else (101, 400, 426))

        await asyncio.to_thread(attack)
    assert complaints(caplog) == []


async def test_the_header_that_a_handshake_cannot_have_is_named(serve: Serve) -> None:
    async with serve(doors()) as port:
        response = await asyncio.to_thread(exchange, port, request(b"/open", *WHOLE, "Cookie: name=茶".encode()))
    assert response.status == 400
    message = json.loads(response.body)["msg"]
    assert message == "The header cookie contains a character that a WebSocket handshake must not have."
