"""Server-sent events: what a browser receives, and that no stream outlives its client, its worker or its limits."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from pydantic import BaseModel
from sanic import Blueprint
from sanic.exceptions import NotFound
from sanic.request import Request

from sanicbase import (
    Event,
    EventStream,
    Header,
    Page,
    Rooms,
    SanicBaseError,
    create_app,
    endpoint,
    idempotent,
)
from sanicbase.http.events import encode_event
from sanicbase.http.openapi import document, info_of
from sanicbase.testing import ServiceProcess, client, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.http.browser import browser
from tests.http.conftest import ServeAs
from tests.preloaded import PreloadedService
from xi_test.config import XiTestConfig

LARGE = "x" * 65_536


class News(BaseModel):
    id: int
    title: str = "tea"


class Streams:
    """The views of a test, and how their generators ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.sent = 0
        self.blueprint = Blueprint("streams")
        for view in (self.news(), self.idle(), self.large(), self.broken(), self.missing(), self.later()):
            view.attach(self.blueprint, f"/{view.name}")

    def news(self) -> Any:
        @endpoint(public=True)
        async def news(request: Request, last_event_id: Annotated[str, Header()] = "0") -> EventStream[News]:
            first = int(last_event_id) + 1
            yield News(id=first)
            yield Event(News(id=first + 1, title="a\nb"), event="changed", id=str(first + 1), retry=50)

        return news

    def idle(self) -> Any:
        @endpoint(public=True)
        async def idle(request: Request) -> EventStream[str]:
            try:
                await asyncio.Event().wait()
                yield ""
            finally:
                self.ended.set()

        return idle

    def large(self) -> Any:
        @endpoint(public=True)
        async def large(request: Request) -> EventStream[str]:
            try:
                while True:
                    yield LARGE
                    self.sent += 1
            finally:
                self.ended.set()

        return large

    def broken(self) -> Any:
        @endpoint(public=True)
        async def broken(request: Request) -> EventStream[int]:
            yield 1
            raise RuntimeError("a bug")

        return broken

    def missing(self) -> Any:
        @endpoint(public=True)
        async def missing(request: Request) -> EventStream[int]:
            if not request.args:
                raise NotFound("no such stream")
            yield 1

        return missing

    def later(self) -> Any:
        async def numbers() -> AsyncIterator[int]:
            yield 1

        @endpoint(public=True)
        async def later(request: Request) -> EventStream[int]:
            return numbers()

        return later


@pytest.fixture
async def streams() -> Streams:
    return Streams()


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (Event({"a": 1}), 'data: {"a":1}\n\n'),
        ({"a": 1}, 'data: {"a":1}\n\n'),
        ("a", "data: a\n\n"),
        ("", "data: \n\n"),
        ("a\nb\r\nc\rd\n", "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        ("a\n\nevent: admin", "data: a\ndata: \ndata: event: admin\n\n"),
        (Event("a", event="b", id="c", retry=5), "event: b\nid: c\nretry: 5\ndata: a\n\n"),
        ("\ud800\u2028", "data: ?\u2028\n\n"),
    ],
)
def test_no_data_can_end_an_event_or_add_a_field(event: object, sent: str) -> None:
    assert encode_event(event, lambda data: json.dumps(data, separators=(",", ":")).encode()).decode() == sent


@pytest.mark.parametrize("fields", [{"event": "a\nb"}, {"id": "a\rdata: b"}, {"id": "a\0"}])
def test_a_type_or_id_with_a_line_break_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SanicBaseError, match="must not contain line breaks"):
        Event("a", **fields)


async def test_a_view_sends_models_and_events(serve_as: ServeAs, streams: Streams) -> None:
    async with serve_as(streams.blueprint) as session:
        response = await session.get("/news", headers={"Last-Event-ID": "6"})
    assert response.text == (
        'data: {"id":7,"title":"tea"}\n\nevent: changed\nid: 8\nretry: 50\ndata: {"id":8,"title":"a\\nb"}\n\n'
    )
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-cache", "no")


async def test_a_view_may_return_a_generator(serve_as: ServeAs, streams: Streams) -> None:
    async with serve_as(streams.blueprint) as session:
        assert (await session.get("/later")).text == "data: 1\n\n"


async def test_head_has_the_headers_and_runs_nothing(serve_as: ServeAs, streams: Streams) -> None:
    async with serve_as(streams.blueprint) as session:
        response = await session.head("/idle")
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert (await session.get("/later")).text == "data: 1\n\n"  # on the same connection


@pytest.mark.parametrize("edge", ["sanicbase", "sanic"])
async def test_an_idle_stream_is_kept_alive_beyond_the_response_timeout(
    serve_as: ServeAs, streams: Streams, edge: str
) -> None:
    served = serve_as(streams.blueprint, RESPONSE_TIMEOUT=1.6, EVENT_STREAM_PING_INTERVAL=60, EDGE=edge)
    async with served as session, session.stream("GET", "/idle") as response:
        received = b""
        async for piece in response.aiter_raw():
            received += piece
            if received.count(b":\n\n") == 4:  # longer than the timeout
                break
    assert received == b":\n\n" * 4


async def test_a_client_that_leaves_ends_the_generator(serve_as: ServeAs, streams: Streams) -> None:
    async with serve_as(streams.blueprint, EVENT_STREAM_PING_INTERVAL=60) as session:
        async with session.stream("GET", "/idle"):
            assert not streams.ended.is_set()
        async with asyncio.timeout(10):  # no ping finds out that it has left
            await streams.ended.wait()


async def test_a_client_that_does_not_read_is_cut_off_and_costs_no_memory(serve_as: ServeAs, streams: Streams) -> None:
    async with serve_as(streams.blueprint, RESPONSE_TIMEOUT=0.5) as session:
        address = (session.base_url.host, session.base_url.port)
        with closing(socket.create_connection(address)) as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            async with asyncio.timeout(30):
                await streams.ended.wait()
    assert streams.sent < 400


async def test_an_error_before_the_first_event_has_its_status_and_a_later_one_breaks_the_stream(
    serve_as: ServeAs, streams: Streams
) -> None:
    async with serve_as(streams.blueprint) as session:
        assert (await session.get("/missing")).status_code == 404
        with pytest.raises(httpx.RemoteProtocolError):
            await session.get("/broken")


async def test_messages_of_a_room_are_events_until_the_reader_is_too_slow(redis_url: str, tmp_path: Path) -> None:
    rooms, joined, go_on = Rooms(), asyncio.Event(), asyncio.Event()

    @endpoint(public=True)
    async def room(request: Request) -> EventStream[str]:
        async with rooms.listen("news") as messages:
            joined.set()
            await go_on.wait()
            async for message in messages:
                yield str(message)

    blueprint = Blueprint("room")
    room.attach(blueprint, "/room")
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url)
    async with client(create_app(config, blueprint, resources=(rooms,))) as session:
        reading = asyncio.create_task(session.get("/room"))
        await joined.wait()
        for number in range(105):
            await rooms.publish("news", f"{number}")
        member = next(iter(rooms._members["news"]))
        async with asyncio.timeout(10):
            while not member._ended:  # type: ignore[attr-defined]
                await asyncio.sleep(0.01)
        go_on.set()
        text = (await reading).text.removeprefix(":\n\n")  # sent first where the messages took longer than HEAD_DELAY
        assert text == "".join(f"data: {number}\n\n" for number in range(100))
        assert not rooms._members


def test_the_document_has_the_model_of_the_events() -> None:
    blueprint = Blueprint("news")
    Streams().news().attach(blueprint, "/news")
    app = create_app(XiTestConfig(), blueprint)
    spec = document(app, info_of(app.ctx.config))
    content = spec["paths"]["/news"]["get"]["responses"]["200"]["content"]
    assert content == {"text/event-stream": {"schema": {"$ref": "#/components/schemas/News"}}}
    assert spec["components"]["schemas"]["News"]["properties"]["title"]["type"] == "string"


def test_an_invalid_event_stream_is_refused() -> None:
    with pytest.raises(SanicBaseError, match=r"declare the type of the events: EventStream\[Article\]"):

        @endpoint(public=True)
        async def untyped(request: Request) -> EventStream:  # type: ignore[type-arg]
            yield 1

    with pytest.raises(SanicBaseError, match="an event is no page"):

        @endpoint(public=True)
        async def paged(request: Request) -> EventStream[Page[News]]:
            yield Page([], 0)

    with pytest.raises(SanicBaseError, match="idempotent, and a stream or a file cannot be kept"):

        @endpoint(public=True)
        @idempotent
        async def kept(request: Request) -> EventStream[int]:
            yield 1


SERVICE = """
import asyncio
from sanic import Blueprint
from sanicbase import Config, EventStream, create_app, endpoint, serve

class NewsConfig(Config):
    SERVER_NAME = "news"

@endpoint(public=True)
async def news(request) -> EventStream[str]:
    try:
        yield "tea"
        await asyncio.Event().wait()
    finally:
        print("the generator has ended", flush=True)

blueprint = Blueprint("news")
news.attach(blueprint, "/news")
app = create_app(NewsConfig(), blueprint)

if __name__ == "__main__":
    serve(app)
"""


def has_ended(service: ServiceProcess, times: int) -> bool:
    return service.output().count("the generator has ended") == times


@pytest.mark.xdist_group("embedded")
def test_a_reload_and_a_stop_end_streams_as_if_they_were_complete(tmp_path: Path) -> None:
    (tmp_path / "http_news.py").write_text(SERVICE)
    with PreloadedService(tmp_path / "http_news.py", cwd=tmp_path, prefix="NEWS_") as service:
        service.wait_ready()
        for number, stop in enumerate((signal.SIGHUP, signal.SIGTERM), 1):
            with httpx.stream(
                "GET", f"{service.base_url}/news", trust_env=False, verify=NO_CERTIFICATES, timeout=60
            ) as response:
                pieces = response.iter_text()
                assert next(pieces) == "data: tea\n\n"
                os.kill(service.pid, stop)
                assert list(pieces) == []  # complete: otherwise RemoteProtocolError
            wait_until(partial(has_ended, service, number), 30, what="the end of the generator")


async def test_a_browser_reads_events_and_reconnects_where_it_was(serve_as: ServeAs, streams: Streams) -> None:
    script = """() => new Promise(resolve => {
        const received = [], source = new EventSource("/news");
        const add = event => {
            received.push([event.type, JSON.parse(event.data), event.lastEventId]);
            if (received.length === 4) { source.close(); resolve(received); }
        };
        source.onmessage = add;
        source.addEventListener("changed", add);
    })"""
    async with serve_as(streams.blueprint) as session, browser(locale="en-US") as watched:
        await watched.page.goto(f"{session.base_url}/livez")
        received = await watched.page.evaluate(script)
    assert received == [
        ["message", {"id": 1, "title": "tea"}, ""],
        ["changed", {"id": 2, "title": "a\nb"}, "2"],
        ["message", {"id": 3, "title": "tea"}, "2"],
        ["changed", {"id": 4, "title": "a\nb"}, "4"],
    ]


def test_the_interval_must_be_a_time() -> None:
    with pytest.raises(SystemExit, match="EVENT_STREAM_PING_INTERVAL"):
        XiTestConfig(EVENT_STREAM_PING_INTERVAL=0)
