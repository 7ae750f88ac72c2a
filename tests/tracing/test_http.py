"""The spans of requests, as the collector receives them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from sanic import Blueprint, Request
from sanic.exceptions import NotFound
from sanic.response import HTTPResponse, json, text
from websockets.asyncio.client import connect

from sanicbase import APIView, Config, create_app
from sanicbase.http import trace_headers
from sanicbase.testing import client
from tests.tracing.collector import Collector, collecting

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01"
SECRET = "hunter2-hunter2"


class TracedConfig(Config):
    SERVER_NAME = "traced"
    MODEL_LIST = []


class ThingsAPI(APIView, public=True):
    async def get(self, request: Request[Any, Any], number: int) -> dict[str, int]:
        return {"number": number}


def routes() -> Blueprint:
    blueprint = Blueprint("routes")
    ThingsAPI.attach(blueprint, "/things/<number:int>")

    @blueprint.get("/plain/<name>")
    async def plain(request: Request[Any, Any], name: str) -> HTTPResponse:
        with trace.get_tracer("traced").start_as_current_span("greet"):
            return json(trace_headers())

    @blueprint.get("/missing")
    async def missing(request: Request[Any, Any]) -> HTTPResponse:
        raise NotFound(SECRET)

    @blueprint.get("/broken")
    async def broken(request: Request[Any, Any]) -> HTTPResponse:
        raise ValueError(SECRET)

    @blueprint.get("/stream")
    async def stream(request: Request[Any, Any]) -> None:
        response = await request.respond()
        assert response is not None
        await response.send("a")
        raise RuntimeError(SECRET)

    @blueprint.get("/ids")
    async def ids(request: Request[Any, Any]) -> HTTPResponse:
        context = trace.get_current_span().get_span_context()
        return text(f"{context.trace_id:032x}")

    @blueprint.websocket("/feed")  # type: ignore[untyped-decorator]  # Sanic annotates nothing here
    async def feed(request: Request[Any, Any], websocket: Any) -> None:
        await websocket.send("hello")

    return blueprint


@asynccontextmanager
async def serving(collector: Collector, redis_url: str, tmp_path: Path, **settings: Any) -> AsyncIterator[Any]:
    """A client of a service that traces. The spans have arrived when the block has ended."""
    config = TracedConfig(
        DB_URL="sqlite://:memory:",
        REDIS_URL=redis_url,
        LOG_DIR=tmp_path,
        LOG_CONSOLE=False,
        **{"TRACING_ENDPOINT": collector.url, "TRACING_PEERS": ["127.0.0.1"], **settings},
    )
    async with client(create_app(config, routes())) as http:
        yield http


async def test_every_request_is_a_span_named_by_its_route(redis_url: str, tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path) as http:
            await http.get(f"/things/7?token={SECRET}", headers={"Authorization": SECRET, "Cookie": SECRET})
            await http.get("/plain/ann")
            assert (await http.get("/missing")).status_code == 404
            assert (await http.get("/nowhere")).status_code == 404
            assert (await http.get("/broken")).status_code == 500
            assert (await http.request("DELETE", "/missing")).status_code == 405
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get("/stream")
            await http.get("/livez")
            assert (await http.request("BREW", "/plain/ann")).status_code in (405, 501)
            reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
            writer.write(b"GET  / HTTP/1.1\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 400")
            writer.close()
    things = collector.named("GET /things/{number}")
    assert (things.kind, things.failed, things.parent_id) == ("server", False, "")
    expected = {
        "http.request.method": "GET",
        "http.route": "/things/{number}",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/things/7",
        "client.address": "127.0.0.1",
        "server.address": "127.0.0.1",
        "network.protocol.version": "1.1",
    }
    assert expected.items() <= things.attributes.items()
    assert things.resource["service.name"] == "traced"
    assert collector.tree(collector.named("GET /plain/{name}")) == ["GET /plain/{name}", ["greet"]]
    missing = collector.named("GET /missing")
    assert (missing.attributes["http.response.status_code"], missing.failed) == (404, False)
    nowhere = collector.named("GET")
    assert "http.route" not in nowhere.attributes
    broken = collector.named("GET /broken")
    assert (broken.attributes["http.response.status_code"], broken.failed) == (500, True)
    assert broken.attributes["error.type"] == "ValueError"
    assert collector.named("GET /stream").attributes["error.type"] == "RuntimeError"
    assert collector.named("DELETE").attributes["http.response.status_code"] == 405
    assert {span.attributes["http.response.status_code"] for span in collector.spans if span.name == "HTTP"} >= {400}
    assert not [span for span in collector.spans if SECRET in repr(span) or "livez" in repr(span)]


HOSTILE_HEADS = [
    b"GET /plain/%FF%ED%A0%80 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /plain/ann HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\xed\xa0\x80\r\n\r\n",
    b"GET /plain/ann HTTP/1.1\r\nHost: a:99999999999999999999\r\n\r\n",
    b"GET /plain/ann HTTP/1.1\r\nHost: [::1]:65536\r\n\r\n",
    b"GET /plain/" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\nUser-Agent: " + b"y" * 2000 + b"\r\n\r\n",
    b"\xff\xfe / HTTP/1.1\r\nHost: a\r\n\r\n",
]


@pytest.mark.parametrize("edge", ["sanicbase", "sanic"])
async def test_nothing_that_a_client_sends_loses_the_spans_of_others(redis_url: str, tmp_path: Path, edge: str) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path, EDGE=edge) as http:
            for head in HOSTILE_HEADS:
                reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
                writer.write(head)
                assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 ")
                writer.close()
            await http.get("/things/1")
    assert collector.named("GET /things/{number}").attributes["http.response.status_code"] == 200
    assert max(len(str(value)) for span in collector.spans for value in span.attributes.values()) <= 1024


async def test_a_plain_websocket_handler_is_a_span(redis_url: str, tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path) as http:
            async with connect(f"ws://{http.base_url.host}:{http.base_url.port}/feed") as websocket:
                assert await websocket.recv() == "hello"
            await http.get("/things/1")
    feed = collector.named("GET /feed")
    assert (feed.attributes["http.response.status_code"], feed.failed) == (101, False)


async def test_the_decision_of_a_trusted_caller_is_followed(redis_url: str, tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path, TRACING_RATIO=0.0) as http:
            recorded = {"traceparent": SAMPLED, "tracestate": "vendor=1"}
            sent = (await http.get("/plain/ann", headers=recorded)).json()
            left_out = (await http.get("/plain/bob", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})).json()
            alone = await http.get("/ids")
    request, greet = collector.named("GET /plain/{name}"), collector.named("greet")
    assert (request.trace_id, request.parent_id, request.state) == (TRACE, PARENT, "vendor=1")
    assert sent == {"traceparent": f"00-{TRACE}-{greet.id}-01", "tracestate": "vendor=1"}
    assert left_out["traceparent"].startswith(f"00-{TRACE}-")
    assert left_out["traceparent"].endswith("-00")
    assert alone.text == alone.headers["x-request-id"]  # the id of a trace that is not recorded
    assert len(collector.spans) == 2


async def test_a_stranger_does_not_decide_what_is_recorded(redis_url: str, tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path, TRACING_PEERS=[], TRACING_RATIO=0.0) as http:
            sent = (await http.get("/plain/ann", headers={"traceparent": SAMPLED})).json()
        assert collector.spans == []
        assert sent["traceparent"].startswith(f"00-{TRACE}-")
        assert sent["traceparent"].endswith("-00")
        async with serving(collector, redis_url, tmp_path, TRACING_PEERS=[]) as http:
            await http.get("/things/1", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert (collector.named("GET /things/{number}").trace_id, collector.spans[0].parent_id) == (TRACE, PARENT)


HOSTILE = [
    [("traceparent", "")],
    [("traceparent", "00-" + "0" * 32 + f"-{PARENT}-01")],
    [("traceparent", f"00-{TRACE}-" + "0" * 16 + "-01")],
    [("traceparent", f"ff-{TRACE}-{PARENT}-01")],
    [("traceparent", f"00-{TRACE.upper()}-{PARENT}-01")],
    [("traceparent", SAMPLED + "-x" * 3000)],
    [("traceparent", SAMPLED), ("traceparent", SAMPLED)],
    [("tracestate", "vendor=1")],
]


async def test_hostile_headers_begin_a_new_trace(redis_url: str, tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path) as http:
            for headers in HOSTILE:
                assert (await http.get("/things/1", headers=headers)).status_code == 200
            states = ["=", "a=b," * 100, "k=" + "v" * 600, "A=1", "é=1", "a=1,a=2"]
            for state in states:
                sent = httpx.Headers([("traceparent", SAMPLED), ("tracestate", state)], encoding="latin-1")
                assert (await http.get("/things/2", headers=sent)).status_code == 200
    first = [span for span in collector.spans if span.attributes["url.path"] == "/things/1"]
    assert len(first) == len({span.trace_id for span in first} - {TRACE}) == len(HOSTILE)
    assert {(span.parent_id, span.state) for span in first} == {("", "")}
    second = [span for span in collector.spans if span.attributes["url.path"] == "/things/2"]
    assert len(second) == len(states)
    assert {(span.trace_id, span.parent_id) for span in second} == {(TRACE, PARENT)}


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_each_line_has_the_ids_of_the_trace_and_the_innermost_span(
    redis_url: str, tmp_path: Path, log_format: str
) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path, LOG_FORMAT=log_format, ACCESS_LOG=True) as http:
            await http.get("/broken")
            await http.get("/plain/ann")
    lines = (tmp_path / "traced" / "run.log").read_text() + (tmp_path / "traced" / "access.log").read_text()
    broken, plain = collector.named("GET /broken"), collector.named("GET /plain/{name}")
    pair = "trace_id={} span_id={}" if log_format == "text" else '"trace_id":"{}","span_id":"{}"'
    assert lines.count(pair.format(broken.trace_id, broken.id)) == 2  # the traceback and the access line
    assert lines.count(pair.format(plain.trace_id, plain.id)) == 1
