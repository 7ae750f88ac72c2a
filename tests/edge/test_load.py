"""Load shedding: which requests of an overloaded worker are refused, which never, and who holds a turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets
from sanic import Blueprint, HTTPResponse, Sanic, text
from sanic.http import Http
from sanic.request import Request

from sanicbase import APIView, ConfigError, WSView
from sanicbase.config import Config
from sanicbase.edge.load import INTERVAL, LoadLimiter, StandingQueue
from sanicbase.testing import wait_until
from tests.http.conftest import ServeAs

LIMIT = 2


class Gates:
    """Handlers that wait here until the test lets them go."""

    def __init__(self) -> None:
        self.inside = 0
        self.open = asyncio.Event()

    async def wait(self) -> None:
        self.inside += 1
        try:
            await self.open.wait()
        finally:
            self.inside -= 1


def blueprint(gates: Gates) -> Blueprint:
    blueprint = Blueprint("load")

    class SlowAPI(APIView, public=True):
        async def get(self, request: Request) -> str:
            await gates.wait()
            return "done"

        async def post(self, request: Request, body: dict[str, int]) -> str:
            return "posted"

    class StreamAPI(APIView, public=True):
        async def get(self, request: Request) -> AsyncIterator[str]:
            yield "first"
            await gates.wait()
            yield "last"

    class BusyAPI(APIView, public=True):
        async def get(self, request: Request) -> str:
            end = time.thread_time() + 0.03
            while time.thread_time() < end:
                pass
            return "busy"

    class EchoWS(WSView, public=True):
        async def on_message(self, message: str | bytes) -> None:
            await self.send(message)

    SlowAPI.attach(blueprint, "/slow")
    StreamAPI.attach(blueprint, "/stream")
    BusyAPI.attach(blueprint, "/busy")
    EchoWS.attach(blueprint, "/echo")

    @blueprint.post("/chunks", stream=True)
    async def chunks(request: Request) -> HTTPResponse:
        received = b""
        assert isinstance(request.stream, Http)
        while chunk := await request.stream.read():
            received += chunk
        await gates.wait()
        return text(received.decode())

    return blueprint


class Service:
    def __init__(self, http: httpx.AsyncClient, gates: Gates, limiter: LoadLimiter) -> None:
        self.http, self.gates, self.limiter = http, gates, limiter

    async def connect(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.http.base_url.host, self.http.base_url.port)
        writer.write(request)
        return reader, writer

    async def until(self, condition: Callable[[], object]) -> None:
        await asyncio.to_thread(wait_until, condition, 30, what="the requests")


Serving = Callable[..., Any]


@pytest.fixture
def serving(serve_as: ServeAs) -> Serving:
    @asynccontextmanager
    async def serving(**settings: Any) -> AsyncIterator[Service]:
        gates = Gates()
        options = {"MAX_CONCURRENT_REQUESTS": LIMIT, "MAX_QUEUE_TIME": 60, "REQUEST_MAX_SIZE": 1000, **settings}
        async with serve_as(blueprint(gates), **options) as http:
            yield Service(http, gates, Sanic.get_app("xi_test_http").ctx.load_limiter)
            gates.open.set()

    return serving


async def ask(service: Service, path: str, count: int) -> list[asyncio.Task[httpx.Response]]:
    return [asyncio.create_task(service.http.get(path)) for _ in range(count)]


async def test_so_many_are_handled_as_many_wait_and_the_others_are_refused_at_once(serving: Serving) -> None:
    async with serving() as service:
        held = await ask(service, "/slow", 2 * LIMIT)
        await service.until(lambda: service.gates.inside == LIMIT and len(service.limiter._queue) == LIMIT)
        refused = await service.http.get("/slow", headers={"Accept-Language": "zh"})
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert refused.json()["code"] == 503
        assert refused.json()["msg"] == "服务暂时不可用，请稍后再试。"
        assert (await service.http.head("/slow")).status_code == 503
        assert (await service.http.get("/livez")).status_code == 200
        assert (await service.http.get("/readyz")).status_code == 200
        service.gates.open.set()
        assert [response.status_code for response in await asyncio.gather(*held)] == [200] * 2 * LIMIT
        assert service.limiter.in_flight == 0


async def test_without_the_setting_nothing_is_refused_and_nothing_measured(serving: Serving) -> None:
    async with serving(MAX_CONCURRENT_REQUESTS=0) as service:
        assert service.limiter is None
        held = await ask(service, "/slow", 20)
        await service.until(lambda: service.gates.inside == 20)
        service.gates.open.set()
        assert [response.status_code for response in await asyncio.gather(*held)] == [200] * 20


async def test_a_request_that_waits_too_long_is_refused(serving: Serving) -> None:
    async with serving(MAX_QUEUE_TIME=0.05) as service:
        held = await ask(service, "/slow", LIMIT)
        await service.until(lambda: service.gates.inside == LIMIT)
        assert (await service.http.get("/slow")).status_code == 503
        service.gates.open.set()
        assert [response.status_code for response in await asyncio.gather(*held)] == [200] * LIMIT
        assert (await service.http.get("/slow")).status_code == 200


async def test_a_client_that_leaves_gives_its_turn_back(serving: Serving) -> None:
    async with serving() as service:
        connections = [await service.connect(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(2 * LIMIT)]
        await service.until(lambda: service.gates.inside == LIMIT and len(service.limiter._queue) == LIMIT)
        for _, writer in connections:
            writer.transport.abort()
        await service.until(lambda: service.limiter.in_flight == 0 and not service.limiter._queue)
        service.gates.open.set()
        assert (await service.http.get("/slow")).status_code == 200


async def test_a_stream_holds_its_turn_until_it_begins(serving: Serving) -> None:
    async with serving() as service:
        streams = [await service.connect(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(5 * LIMIT)]
        for reader, _ in streams:
            await reader.readuntil(b"first")
        assert service.limiter.in_flight == 0
        service.gates.open.set()
        for reader, writer in streams:
            await reader.readuntil(b"last")
            writer.close()


async def test_a_websocket_holds_no_turn_and_is_refused_before_its_handshake(serving: Serving) -> None:
    async with serving() as service:
        url = f"ws://{service.http.base_url.host}:{service.http.base_url.port}/echo"
        async with (
            websockets.connect(url) as first,
            websockets.connect(url) as second,
            websockets.connect(url) as third,
        ):
            for websocket in (first, second, third):
                await websocket.send("hello")
                assert await websocket.recv() == "hello"
            assert service.limiter.in_flight == 0
            service.limiter._standing.exceeds = lambda wait, now: True
            service.limiter._admits_next = False
            service.limiter.stop()
            with pytest.raises(websockets.InvalidStatus, match="503"):
                await websockets.connect(url)


async def test_a_slow_body_holds_no_turn(serving: Serving) -> None:
    head = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    async with serving() as service:
        slow = [await service.connect(head + b'{"a"') for _ in range(3 * LIMIT)]
        await service.until(lambda: not service.limiter._queue and service.limiter.in_flight == 0)
        assert (await service.http.post("/slow", json={"a": 1})).status_code == 200
        for _, writer in slow:
            writer.write(b": 1 }")
        for reader, writer in slow:
            assert (await reader.readline()).split()[1] == b"200"
            writer.close()
        await service.until(lambda: service.limiter.in_flight == 0)


async def test_a_streamed_body_holds_its_turn_only_while_it_is_handled(serving: Serving) -> None:
    head = b"POST /chunks HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
    async with serving() as service:
        slow = [await service.connect(head + b"ab") for _ in range(3 * LIMIT)]
        assert (await service.http.post("/slow", json={"a": 1})).status_code == 200
        for _, writer in slow:
            writer.write(b"cd")
        await service.until(lambda: service.gates.inside == 3 * LIMIT)
        assert service.limiter.in_flight == 3 * LIMIT  # they had begun
        service.gates.open.set()
        for reader, writer in slow:
            assert b"abcd" in await reader.readuntil(b"abcd")
            writer.close()
        assert service.limiter.in_flight == 0


async def test_a_refused_request_with_a_body_keeps_its_connection_in_order(serving: Serving) -> None:
    post = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}'
    async with serving() as service:
        held = await ask(service, "/slow", 2 * LIMIT)
        await service.until(lambda: len(service.limiter._queue) == LIMIT)
        reader, writer = await service.connect(post + b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503")
        await reader.readuntil(b'"request_id"')
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.close()
        service.gates.open.set()
        await asyncio.gather(*held)


async def test_handlers_that_occupy_the_cpu_are_shed_by_the_lag_of_the_loop(serving: Serving) -> None:
    """They never overlap, so a limit of those in flight would refuse none."""
    async with serving(MAX_CONCURRENT_REQUESTS=1000, MAX_QUEUE_TIME=0.06) as service:
        connections = [await service.connect(b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n" * 20) for _ in range(20)]
        statuses: list[bytes] = []
        for reader, writer in connections:
            for _ in range(20):
                statuses.append((await reader.readline()).split()[1])
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
            writer.close()
        assert statuses.count(b"503") > 100
        assert statuses.count(b"200") > 10


def test_a_burst_is_not_a_standing_queue() -> None:
    queue = StandingQueue(0.1)
    assert not any(queue.exceeds(wait, now=0.01) for wait in (0.0, 0.5, 1.0, 2.0))
    assert not queue.exceeds(2.0, now=0.01 + INTERVAL)
    assert not queue.is_standing  # one of them has not waited
    for number in range(10):
        now = 10 + number * INTERVAL / 2
        refused = queue.exceeds(0.3, now)
    assert refused
    assert not queue.exceeds(0.09, 20.0)  # requests that have not waited for long are served meanwhile
    queue.exceeds(0.01, 20.0 + 2 * INTERVAL)
    assert not queue.exceeds(0.5, 20.0 + 4 * INTERVAL)  # an interval had a request that did not wait


def test_the_limit_needs_the_edge() -> None:
    class ShopConfig(Config):
        SERVER_NAME = "shop"

    with pytest.raises(ConfigError, match=r"MAX_CONCURRENT_REQUESTS needs EDGE"):
        ShopConfig(MAX_CONCURRENT_REQUESTS=10, EDGE="sanic")
