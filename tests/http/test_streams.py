"""A stream that ends too early is not taken for a whole one, and the log has its reason once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sanic import Blueprint
from sanic.request import Request
from sanic.response import BaseHTTPResponse, ResponseStream

from sanicbase import ResourceError, endpoint
from sanicbase.log import flush_logging
from tests.http.conftest import ServeAs
from tests.http.wire import Answer, exchange, request

LARGE = b"x" * 200_000
started: list[str] = []
closed: list[str] = []
reported: list[str] = []


async def broken() -> AsyncIterator[bytes]:
    yield b"id,name\n"
    raise RuntimeError("the report has a bug")


@endpoint(public=True)
async def whole(request: Request) -> AsyncIterator[bytes]:
    yield b"id,name\n"


@endpoint(public=True)
async def fails(request: Request) -> AsyncIterator[bytes]:
    return broken()


@endpoint(public=True)
async def fails_at_once(request: Request) -> AsyncIterator[bytes]:
    if not request.args:
        raise RuntimeError("nothing was sent")
    yield b""


@endpoint(public=True)
async def outage(request: Request) -> AsyncIterator[str]:
    yield "id,name\n"
    raise ResourceError("Redis went away.")


@endpoint(public=True)
async def cancelled(request: Request) -> AsyncIterator[bytes]:
    yield b"id,name\n"
    raise asyncio.CancelledError


@endpoint(public=True)
async def stuck(request: Request) -> AsyncIterator[bytes]:
    yield b"id,name\n"
    await asyncio.Event().wait()


@endpoint(public=True)
async def endless(request: Request) -> AsyncIterator[bytes]:
    try:
        while True:
            yield LARGE
            started.append(request.path)
    finally:
        closed.append(request.path)


async def plain(request: Request) -> None:
    response = await request.respond(content_type="text/csv")
    async for piece in broken():
        await response.send(piece)


async def old_stream(request: Request) -> ResponseStream:
    async def write(response: BaseHTTPResponse | ResponseStream) -> None:
        assert isinstance(response, ResponseStream)
        await response.write("id,name\n")
        raise RuntimeError("the file shrank")

    return ResponseStream(write)


async def too_short(request: Request) -> None:
    response = await request.respond(headers={"Content-Length": "100"})
    await response.send("id,name\n")
    await response.eof()


async def too_long(request: Request) -> None:
    response = await request.respond(headers={"Content-Length": "10"})
    await response.send("id,name\n")
    await response.send("1,tea\n")


async def twice(request: Request) -> None:
    response = await request.respond()
    await response.send("id,name\n")
    await request.respond()


async def after_the_end(request: Request) -> None:
    response = await request.respond()
    await response.send("id,name\n")
    await response.eof()
    raise RuntimeError("too late to matter")


VIEWS = (whole, fails, fails_at_once, outage, cancelled, stuck, endless)
PLAIN = (plain, old_stream, too_short, too_long, twice, after_the_end)


async def report(request: Request, exception: BaseException) -> None:
    reported.append(request.path)


def streams() -> Blueprint:
    blueprint = Blueprint("streams")
    for view in VIEWS:
        view.attach(blueprint, f"/{view.name}")
    handler: Any
    for handler in PLAIN:
        blueprint.add_route(handler, f"/{handler.__name__}", methods=["GET", "POST"])

    blueprint.signal("http.lifecycle.exception")(report)
    return blueprint


Log = Callable[[], str]


@pytest.fixture
async def served(serve_as: ServeAs, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[tuple[int, Log]]:
    """The port of the service, and what its log says. A test's parameter may contain settings."""

    def log() -> str:
        flush_logging()
        return (tmp_path / "logs" / "xi_test" / "run.log").read_text(encoding="utf-8")

    settings: dict[str, Any] = getattr(request, "param", {})
    async with serve_as(streams(), LOG_FORMAT="text", ACCESS_LOG=True, **settings) as client:
        assert client.base_url.port is not None
        yield client.base_url.port, log


async def get(port: int, path: str, *, version: bytes = b"1.1") -> Answer:
    return await asyncio.to_thread(exchange, port, request(f"/{path}".encode(), version=version))


BROKEN = [
    ("fails", "ERROR", "GET /fails failed after a part of its response was sent."),
    ("plain", "ERROR", "GET /plain failed after a part of its response was sent."),
    ("old_stream", "ERROR", "GET /old_stream failed after a part of its response was sent."),
    ("too_short", "ERROR", "GET /too_short failed after a part of its response was sent."),
    ("too_long", "ERROR", "GET /too_long failed after a part of its response was sent."),
    ("twice", "ERROR", "GET /twice failed after a part of its response was sent."),
    ("outage", "WARNING", "GET /outage failed after a part of its response was sent. ResourceError: Redis went away."),
    ("cancelled", "WARNING", "GET /cancelled was cancelled after a part of its response was sent. CancelledError."),
]
REDIS = " sanicbase.cache "  # on a busy machine, its answers may be late
STUCK = (
    "stuck",
    "WARNING",
    "GET /stuck was cancelled after a part of its response was sent. ServiceUnavailable: Response Timeout",
)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize(
    ("served", "broken"),
    [pytest.param({}, BROKEN, id="at once"), pytest.param({"RESPONSE_TIMEOUT": 1}, [STUCK], id="after the timeout")],
    indirect=["served"],
)
async def test_a_broken_stream_is_seen_to_be_cut_and_is_logged_once(
    served: tuple[int, Log], broken: list[tuple[str, str, str]], version: bytes
) -> None:
    port, log = served
    for path, level, message in broken:
        before = len(log())
        response = await get(port, path, version=version)
        assert not response.whole, path
        assert response.reset == (version == b"1.0"), path
        if version == b"1.1":
            assert (response.status, b"id,name\n" in response.body) == (200, True), path
        lines = [line for line in log()[before:].splitlines() if not line.startswith("    ") and REDIS not in line]
        assert len(lines) == 1, lines
        assert level in lines[0]
        assert lines[0].endswith(message)
        assert ("Traceback" in log()[before:]) == (level == "ERROR")


async def test_a_stream_that_is_whole_keeps_the_connection(served: tuple[int, Log]) -> None:
    port, log = served
    response = await get(port, "whole")
    assert (response.status, response.body, response.whole) == (200, b"8\r\nid,name\n\r\n0\r\n\r\n", True)
    assert response.headers["connection"] == "keep-alive"
    assert "sanicbase.http" not in log()


async def test_a_stream_that_fails_before_its_first_byte_is_an_ordinary_error(served: tuple[int, Log]) -> None:
    port, log = served
    response = await get(port, "fails_at_once")
    assert (response.status, response.whole, response.headers["content-type"]) == (500, True, "application/json")
    assert b'"code":500' in response.body
    assert log().count("GET /fails_at_once failed.") == 1


async def test_a_failure_after_the_last_chunk_leaves_the_answer_whole(served: tuple[int, Log]) -> None:
    port, log = served
    response = await get(port, "after_the_end")
    assert (response.status, response.whole) == (200, True)
    assert log().count("GET /after_the_end failed after all of its response was sent.") == 1
    assert log().count("sanicbase.http ") == 1
    assert "sanic.error" not in log()


async def test_a_body_that_was_not_read_does_not_delay_the_end(served: tuple[int, Log]) -> None:
    port, _ = served
    sent = request(b"/plain", b"Content-Length: 3", method=b"POST", body=b"abc")
    response = await asyncio.to_thread(exchange, port, sent)
    assert (response.status, response.whole) == (200, False)


async def test_a_client_that_leaves_midway_ends_the_view_and_is_no_warning(served: tuple[int, Log]) -> None:
    port, log = served
    started.clear()
    closed.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(b"/endless"))
    async with asyncio.timeout(10):
        while not started:
            await asyncio.sleep(0.02)
    writer.transport.abort()
    async with asyncio.timeout(10):
        while "during the response" not in log():
            await asyncio.sleep(0.02)
    assert closed == ["/endless"]
    (line,) = [line for line in log().splitlines() if "sanicbase.http " in line]
    assert "INFO" in line
    assert line.endswith("GET /endless: the client closed the connection during the response.")


async def test_the_head_of_a_stream_has_no_body_and_no_failure(served: tuple[int, Log]) -> None:
    port, log = served
    for path, status in (("whole", 200), ("fails", 200), ("fails_at_once", 500)):
        response = await asyncio.to_thread(exchange, port, request(f"/{path}".encode(), method=b"HEAD"))
        assert (response.status, response.body) == (status, b"")
    assert log().count("failed") == 1


async def test_the_service_is_notified_of_a_broken_stream(served: tuple[int, Log]) -> None:
    port, _ = served
    reported.clear()
    await get(port, "fails")
    assert reported == ["/fails"]
