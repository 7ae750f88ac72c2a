"""What a request costs in instructions of Python: a guard that times nothing.

The bytecode instructions of sanicbase and of Sanic are counted while a request is served, without those of the view's
libraries. On another version of Python they are others.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import pytest
import sanic
from pydantic import BaseModel, Field
from sanic import Blueprint

import sanicbase
from sanicbase import APIView, Created, Request, create_app
from sanicbase.testing import client
from xi_test.config import XiTestConfig

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the limits are those of Python 3.11")

COUNTED = tuple(str(Path(package.__file__ or "").parent) for package in (sanicbase, sanic))
REQUESTS = 20
HOST = b"Host: shop.example\r\n"
BROWSER = (
    b'Connection: keep-alive\r\nsec-ch-ua: "Chromium";v="130"\r\nsec-ch-ua-mobile: ?0\r\n'
    b'sec-ch-ua-platform: "Linux"\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n'
    b"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n"
)
BODY = b'{"name":"Ann","age":42}'
POST = (
    b"POST /people HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    + BODY
)
SENT = {
    "json": (b"GET /people HTTP/1.1\r\n" + HOST + b"\r\n", 1365),
    "json for a browser": (b"GET /people HTTP/1.1\r\n" + HOST + BROWSER + b"\r\n", 1365),
    "post": (POST, 1740),
    "list of models": (b"GET /crowd HTTP/1.1\r\n" + HOST + b"\r\n", 1450),
}


class Person(BaseModel):
    name: Annotated[str, Field(max_length=50)]
    age: Annotated[int, Field(ge=0)]


PEOPLE = [Person(name="Ann", age=age) for age in range(100)]


class PeopleAPI(APIView, public=True):
    async def get(self, request: Request) -> Person:
        return Person(name="Ann", age=42)

    async def post(self, request: Request, body: Person) -> Created[Person]:
        return Created(body)


class CrowdAPI(APIView, public=True):
    async def get(self, request: Request) -> list[Person]:
        return PEOPLE


@contextmanager
def counted() -> Iterator[list[int]]:
    """Counts the instructions that are executed in the block."""
    counts = [0]

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(COUNTED):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            counts[0] += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield counts
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("name", SENT)
async def test_a_request_costs_no_more_instructions_than_it_did(name: str, redis_url: str, tmp_path: Path) -> None:
    sent, limit = SENT[name]
    blueprint = Blueprint("people")
    PeopleAPI.attach(blueprint, "/people")
    CrowdAPI.attach(blueprint, "/crowd")
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, ACCESS_LOG=True)
    async with client(create_app(config, blueprint)) as http:
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)

        async def ask(times: int) -> None:
            for _ in range(times):
                writer.write(sent)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 20")
                await reader.readuntil(b"}}" if b"/people" in sent else b"}]}")

        await ask(2)  # what is kept for the next requests is kept
        with counted() as counts:
            await ask(REQUESTS)
        writer.close()
    assert limit * 0.7 < counts[0] / REQUESTS < limit
