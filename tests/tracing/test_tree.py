"""One tree: a request with its cache, its statements, its messages, its jobs, and the services that it calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from sanic import Blueprint, Request
from sanic.response import HTTPResponse, json
from tortoise import Tortoise
from websockets.asyncio.client import connect

from sanicbase import Timer, create_app, current_job, job, transaction
from sanicbase.jobs.timers import run_timers
from sanicbase.jobs.worker import run_jobs
from sanicbase.rc import get_redis
from sanicbase.testing import client
from sanicbase.testing.service import NO_CERTIFICATES
from sanicbase.ws import Rooms, WSView
from tests.cache.models import AuthorRC
from tests.cache.opening import settled
from tests.db.library import Author
from tests.db.opening import LibraryConfig
from tests.tracing.collector import Collector, Span, collecting
from tests.ws.recording import until

ran: list[int] = []


@job(backoff=0.05)
async def notify(number: int) -> None:
    await get_redis().set("notified", number)
    if current_job().attempt == 1 and number == 13:
        raise ValueError("the first run fails")
    ran.append(number)


async def tick() -> None:
    await get_redis().get("notified")
    ran.append(0)


def routes(rooms: Rooms) -> Blueprint:
    blueprint = Blueprint("routes")

    @blueprint.get("/authors/<number:int>")
    async def author(request: Request[Any, Any], number: int) -> HTTPResponse:
        found = await AuthorRC.get(number)
        await AuthorRC.get_many([number, 2])
        await rooms.publish("news", "read")
        return json(None if found is None else found.name)

    @blueprint.get("/notify/<number:int>")
    async def enqueue(request: Request[Any, Any], number: int) -> HTTPResponse:
        return json(await notify.enqueue(number))

    @blueprint.get("/pipeline")
    async def piped(request: Request[Any, Any]) -> HTTPResponse:
        pipeline = get_redis().pipeline()
        pipeline.set("a", "secret-value")
        pipeline.get("a")
        return json(len(await pipeline.execute()) == 2)

    @blueprint.get("/calls")
    async def calls(request: Request[Any, Any]) -> HTTPResponse:
        async with httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
            HTTPXClientInstrumentor.instrument_client(http)
            return json((await http.get(f"http://{request.host}/pipeline")).json())

    class NewsWS(WSView, public=True):
        async def on_connect(self) -> None:
            await rooms.join("news", self)

        async def on_message(self, message: str | bytes) -> None:
            await rooms.publish("news", message)

        async def on_disconnect(self, code: int) -> None:
            rooms.leave("news", self)

    NewsWS.attach(blueprint, "/news")
    return blueprint


@asynccontextmanager
async def serving(collector: Collector, redis_url: str, tmp_path: Path, **settings: Any) -> AsyncIterator[Any]:
    await settled(redis_url)
    rooms = Rooms()
    config = LibraryConfig(
        DB_URL=f"sqlite://{tmp_path}/library.sqlite3",
        REDIS_URL=redis_url,
        MODULES=["tests.db.library"],
        CACHE_TIMEOUT=5,
        TRACING_ENDPOINT=collector.url,
        **{"TRACING_PEERS": ["127.0.0.1"], **settings},
    )
    async with client(create_app(config, routes(rooms), resources=(rooms,), kind="http")) as http:
        await Tortoise.generate_schemas()
        async with transaction():
            await Author.create(id=1, name="Ann")
            await Author.create(id=2, name="Bob")
        yield http


def names(tree: Any) -> set[str]:
    return {tree[0]}.union(*(names(child) for child in tree[1:]))


def below(collector: Collector, root: Span) -> list[Span]:
    children = collector.children(root)
    return [*children, *(span for child in children for span in below(collector, child))]


async def test_a_request_its_cache_its_database_and_its_room_are_one_tree(redis_url: str, tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path) as http:
            url = f"ws://{http.base_url.host}:{http.base_url.port}/news"
            async with connect(url) as one, connect(url) as other:
                assert (await http.get("/authors/1")).json() == "Ann"
                assert [await one.recv(), await other.recv()] == ["read", "read"]
                await one.send("hello")
                assert [await one.recv(), await other.recv()] == ["hello", "hello"]
    request = collector.named("GET /authors/{number}")
    found = below(collector, request)
    assert {span.trace_id for span in found} == {request.trace_id}
    assert [span.name for span in collector.children(request)] == [
        "get AuthorRC",
        "get_many AuthorRC",
        "publish to a room",
    ]
    first, several, publishing = collector.children(request)
    assert first.attributes["sanicbase.cache.outcome"] == "fill"
    assert names(collector.tree(first)) >= {"fill AuthorRC", "SELECT author"}
    assert several.attributes["sanicbase.cache.keys"] == 2
    assert [span.name for span in collector.children(publishing)] == ["PUBLISH", "deliver to a room"]
    assert collector.children(publishing)[1].attributes["sanicbase.room.members"] == 2

    handshakes = [span for span in collector.spans if span.name == "GET /news"]
    assert [span.attributes["http.response.status_code"] for span in handshakes] == [101, 101]
    assert {span.name for span in below(collector, handshakes[0])} == {"connect /news"}
    message = collector.named("message /news")
    assert (message.parent_id, message.kind) == ("", "server")
    assert message.links[0] in {span.id for span in handshakes}
    assert names(collector.tree(message)) == {"message /news", "publish to a room", "PUBLISH", "deliver to a room"}


async def test_a_second_read_is_a_hit(redis_url: str, tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path) as http:
            for _ in range(3):
                await http.get("/authors/1")
    outcomes = [span.attributes["sanicbase.cache.outcome"] for span in collector.spans if span.name == "get AuthorRC"]
    assert outcomes == ["fill", "hit", "hit"]


async def test_the_runs_of_a_job_belong_to_the_request_that_enqueued_it(redis_url: str, tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path) as http:
            working = asyncio.create_task(run_jobs([notify], LibraryConfig(REDIS_URL=redis_url)))
            await http.get("/notify/13")
            await until(lambda: 13 in ran)
            await http.get("/notify/7", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"})
            await until(lambda: 7 in ran)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
    request = collector.named("GET /notify/{number}")
    (sending,) = collector.children(request)
    assert (sending.name, sending.kind) == (f"send {notify.name}", "producer")
    runs = [span for span in below(collector, sending) if span.name == f"process {notify.name}"]
    assert [span.failed for span in runs] == [True, False]
    assert runs[0].attributes["error.type"] == "ValueError"
    assert {span.name for run in runs for span in collector.children(run)} == {"SET"}
    assert len([span for span in collector.spans if span.name.startswith("process ")]) == 2  # not that of the other


async def test_a_run_of_a_timer_is_a_trace(redis_url: str, tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path):
            ticking = asyncio.create_task(
                run_timers([Timer(tick, every=0.1, name="tick")], LibraryConfig(REDIS_URL=redis_url))
            )
            await until(lambda: 0 in ran)
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
    first = next(span for span in collector.spans if span.name == "timer tick")
    assert collector.tree(first) == ["timer tick", ["GET"]]


async def test_an_instrumented_client_continues_the_trace(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    with collecting() as collector:
        async with serving(collector, redis_url, tmp_path) as http:
            assert (await http.get("/calls")).json() is True
            await http.get("/calls", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"})
    request = collector.named("GET /calls")
    assert collector.tree(request) == ["GET /calls", ["GET", ["GET /pipeline", ["PIPELINE"]]]]
    pipeline = collector.named("PIPELINE")
    assert pipeline.attributes["db.operation.batch.size"] == 2
    assert "secret-value" not in repr(collector.spans)
    assert len(collector.spans) == 4
