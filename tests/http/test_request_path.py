"""What happens around a view: guards, ids and access lines, without Sanic's signals."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from httptools import parse_url
from sanic import Blueprint, Sanic
from sanic.exceptions import Unauthorized

from sanicbase import APIView, Request, create_app
from sanicbase.http.request import VALID_ID
from sanicbase.log import flush_logging
from sanicbase.testing import client
from xi_test.config import XiTestConfig

from .conftest import ServeAs
from .wire import exchange, request

IDS = """
import os, sys
from sanicbase.http.request import next_request_id

ids = [next_request_id() for _ in range(100)]
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, " ".join(next_request_id() for _ in range(100)).encode())
    os._exit(0)
os.wait()
print(*ids, os.read(read, 65536).decode(), *(next_request_id() for _ in range(100)))
"""


class OpenAPI(APIView, public=True):
    async def get(self, request: Request) -> str:
        return str(request.id)

    async def post(self, request: Request) -> int:
        return len(request.body)


class ClosedAPI(APIView):
    @classmethod
    async def admit(cls, request: Request) -> str:
        if "x-user" not in request.headers:
            raise Unauthorized("Nobody knows you.")
        return str(request.headers["x-user"])

    async def get(self, request: Request, user: str) -> str:
        return user


class StreamAPI(APIView, public=True):
    async def get(self, request: Request) -> AsyncIterator[bytes]:
        yield b"a part"
        raise RuntimeError("the rest is missing")


def blueprint(*views: type[APIView]) -> Blueprint:
    blueprint = Blueprint("path")
    for view in views:
        view.attach(blueprint, f"/{view.__name__.removesuffix('API').lower()}")
    return blueprint


def our_handlers(app: Sanic[Any, Any]) -> set[str]:
    return {
        signal.ctx.definition
        for signal in app.signal_router.routes
        if signal.handler.__module__.startswith("sanicbase") and signal.ctx.definition.startswith("http.")
    }


@pytest.fixture
def config(redis_url: str, tmp_path: Path) -> XiTestConfig:
    return XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, ACCESS_LOG=True)


async def test_no_signal_is_handled_where_no_route_has_guards(config: XiTestConfig) -> None:
    app = create_app(config, blueprint(OpenAPI))
    async with client(app) as http:
        assert (await http.get("/open")).status_code == 200
        assert our_handlers(app) == set()


async def test_guards_are_called_without_asking_for_the_handlers_of_a_signal(
    config: XiTestConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(config, blueprint(ClosedAPI))
    events: list[str] = []
    find = app.signal_router.get

    def counting(event: str, condition: Any = None) -> Any:
        events.append(event)
        return find(event, condition)

    async with client(app) as http:
        monkeypatch.setattr(app.signal_router, "get", counting)
        responses = [await http.get("/closed"), await http.get("/closed", headers={"X-User": "ann"})]
        assert [response.status_code for response in responses] == [401, 200]
        assert [event for event in events if event.startswith("http.routing")] == []


async def test_a_services_own_handler_of_that_signal_runs_beside_the_guards(config: XiTestConfig) -> None:
    app = create_app(config, blueprint(ClosedAPI))
    paths: list[str] = []

    @app.signal("http.routing.after")
    async def note(request: Request, **_: Any) -> None:
        paths.append(request.path)

    async with client(app) as http:
        assert (await http.get("/closed")).status_code == 401
        assert (await http.get("/closed", headers={"X-User": "ann"})).json()["data"] == "ann"
    assert paths[-1] == "/closed"


async def test_guards_are_those_of_the_route_that_is_served(config: XiTestConfig) -> None:
    app = create_app(config, blueprint(OpenAPI, ClosedAPI))

    @app.signal("http.routing.before")
    async def lead_elsewhere(request: Request) -> None:
        if "x-closed" in request.headers:
            request._parsed_url = parse_url(b"/closed")

    async with client(app) as http:
        assert (await http.get("/open")).status_code == 200
        assert (await http.get("/open", headers={"X-Closed": "1"})).status_code == 401


async def test_a_route_that_is_added_to_the_app_later_has_its_guards(config: XiTestConfig) -> None:
    app = create_app(config, blueprint(OpenAPI))

    async def nobody(request: Request) -> None:
        raise Unauthorized("Nobody may.")

    async def handler(request: Request) -> None: ...

    app.add_route(handler, "/later", methods=["POST"], ctx_guards=(nobody,))
    async with client(app) as http:
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(b"POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 401 ")
        writer.close()
        await writer.wait_closed()


def test_ids_are_different_in_every_process_and_after_a_fork() -> None:
    runs = [subprocess.run([sys.executable, "-c", IDS], capture_output=True, text=True, check=True) for _ in range(3)]
    ids = [word for run in runs for word in run.stdout.split()]
    assert len(ids) == len(set(ids)) == 900
    assert all(re.fullmatch("[0-9a-f]{32}", word) and VALID_ID.fullmatch(word) for word in ids)


Lines = list[dict[str, Any]]


async def access_lines(http: httpx.AsyncClient, folder: Path, *requests: bytes) -> tuple[Lines, list[bytes]]:
    """The access lines of those requests, and the bodies of their responses."""
    assert http.base_url.port is not None
    bodies = [(await asyncio.to_thread(exchange, http.base_url.port, sent)).body for sent in requests]
    flush_logging()
    lines = (folder / "xi_test" / "access.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if "readyz" not in line and "livez" not in line], bodies


async def test_every_request_has_one_access_line(serve_as: ServeAs, tmp_path: Path) -> None:
    requests = {
        request(b"/open"): 200,
        request(b"/missing"): 404,
        request(b"/open", method=b"PUT"): 405,
        request(b"/closed"): 401,
        request(b"/open", b"Authorization: a", b"Authorization: b"): 400,
        request(b"/open", b"Content-Length: 5000", method=b"POST"): 413,
        request(b"/open", b"Content-Length: many", method=b"POST"): 400,
        b"nonsense\r\n\r\n": 400,
        request(b"/stream"): 200,
    }
    views = blueprint(OpenAPI, ClosedAPI, StreamAPI)
    async with serve_as(views, LOG_FORMAT="json", ACCESS_LOG=True) as http:
        lines, bodies = await access_lines(http, tmp_path / "logs", *requests)
    assert [line["status"] for line in lines] == list(requests.values())
    assert lines[0]["bytes"] == len(bodies[0])
    assert lines[-1]["bytes"] is None
    failed = [(line["request_id"], json.loads(body)["request_id"]) for line, body in zip(lines, bodies, strict=True)
              if line["status"] >= 400]  # fmt: skip
    assert len(failed) == 7
    assert all(logged == answered for logged, answered in failed)


async def test_no_line_is_written_where_the_access_log_is_off(serve_as: ServeAs, tmp_path: Path) -> None:
    async with serve_as(blueprint(OpenAPI), ACCESS_LOG=False) as http:
        lines, _ = await access_lines(http, tmp_path / "logs", request(b"/open"), request(b"/missing"))
    assert lines == []
