"""Deadlines: the handler and its statements are cancelled, with both edges, and nothing else is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sanic import Blueprint, Request
from tortoise import connections

from sanicbase import APIView, SanicBaseError, create_app, deadline_headers, endpoint, time_left, transaction
from sanicbase.config import Config
from sanicbase.http.deadline import DEADLINE_HEADER
from sanicbase.testing import client, wait_until
from sanicbase.testing.databases import ask_postgres
from tests.http.conftest import ServeAs

FAR = 3600.0
cancelled: list[str] = []
requests: list[Request] = []


class SleepAPI(APIView, public=True):
    async def get(self, request: Request) -> dict[str, Any]:
        requests.append(request)
        try:
            await asyncio.sleep(float(request.args.get("seconds", "0")))
        except asyncio.CancelledError:
            cancelled.append(request.path)
            raise
        return {"left": time_left(), "headers": deadline_headers()}

    async def post(self, request: Request, body: dict[str, int]) -> str:
        return "posted"


class ShortAPI(SleepAPI, deadline=0.2):
    pass


class StreamAPI(APIView, public=True, deadline=0.2):
    async def get(self, request: Request) -> AsyncIterator[str]:
        yield "first"
        await asyncio.sleep(0.4)
        yield "last"


@endpoint(public=True, deadline=0.2)
async def short(request: Request) -> str:
    await asyncio.sleep(FAR)
    return "never"


def blueprint() -> Blueprint:
    blueprint = Blueprint("deadlines")
    SleepAPI.attach(blueprint, "/sleep")
    ShortAPI.attach(blueprint, "/short")
    StreamAPI.attach(blueprint, "/stream")
    short.attach(blueprint, "/endpoint")
    return blueprint


@pytest.mark.parametrize("edge", ["sanicbase", "sanic"])
async def test_a_handler_is_cancelled_at_its_deadline_and_the_connection_stays_open(
    serve_as: ServeAs, edge: str
) -> None:
    cancelled.clear()
    async with serve_as(blueprint(), EDGE=edge) as http:
        response = await http.get("/short", params={"seconds": FAR})
        assert response.status_code == 503
        assert response.json()["code"] == 503
        assert response.headers["Retry-After"] == "1"
        assert cancelled == ["/short"]
        assert (await http.get("/endpoint")).status_code == 503
        assert (await http.get("/stream")).text == "firstlast"  # which has begun in time


@pytest.mark.parametrize("edge", ["sanicbase", "sanic"])
async def test_the_deadline_of_a_request_is_not_that_of_the_next_on_its_connection(
    serve_as: ServeAs, edge: str
) -> None:
    async with serve_as(blueprint(), EDGE=edge) as http:
        assert (await http.get("/short")).status_code == 200
        assert (await http.get("/sleep", params={"seconds": 0.4})).status_code == 200


async def test_the_setting_is_for_all_routes_but_those_with_a_deadline_of_their_own(serve_as: ServeAs) -> None:
    async with serve_as(blueprint(), REQUEST_DEADLINE=0.3) as http:
        assert (await http.get("/sleep", params={"seconds": FAR})).status_code == 503
        left = (await http.get("/sleep")).json()["data"]["left"]
        assert 0 < left <= 0.3
        assert (await http.get("/short")).json()["data"]["left"] <= 0.2


@pytest.mark.parametrize("edge", ["sanicbase", "sanic"])
async def test_a_client_that_leaves_takes_the_timer_with_it(serve_as: ServeAs, edge: str) -> None:
    requests.clear()
    async with serve_as(blueprint(), REQUEST_DEADLINE=FAR, EDGE=edge) as http:
        _, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(b"GET /sleep?seconds=3600 HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.to_thread(wait_until, lambda: requests, 30, what="the request")
        writer.transport.abort()
        await asyncio.to_thread(wait_until, requests[0].ctx.deadline_timer.cancelled, 30, what="the end of the timer")
        assert len(requests) == 1


async def test_without_deadlines_there_is_no_guard_and_no_hook() -> None:
    class ShopConfig(Config):
        SERVER_NAME = "shop"

    blueprint = Blueprint("plain")
    SleepAPI.attach(blueprint, "/sleep")
    app = create_app(ShopConfig(), blueprint)
    assert app.ctx.response_hooks == []
    assert all(not getattr(route.ctx, "guards", ()) for route in app.router.routes)


async def test_a_trusted_service_shortens_the_deadline_and_it_is_passed_on(serve_as: ServeAs) -> None:
    async with serve_as(blueprint(), DEADLINE_PEERS=["127.0.0.0/8"], REQUEST_DEADLINE=30) as http:
        response = (await http.get("/sleep", headers={DEADLINE_HEADER: "5000"})).json()["data"]
        assert 0 < response["left"] <= 5
        assert 0 < int(response["headers"][DEADLINE_HEADER]) <= 5000
        longer = (await http.get("/sleep", headers={DEADLINE_HEADER: "90000"})).json()["data"]
        assert longer["left"] <= 30
        cut = await http.get("/sleep", params={"seconds": FAR}, headers={DEADLINE_HEADER: "100"})
        assert cut.status_code == 503
        assert (await http.get("/sleep", headers={DEADLINE_HEADER: "0"})).status_code == 503
        wrong = await http.get("/sleep", headers={DEADLINE_HEADER: "1.5"})
        assert wrong.status_code == 400
        assert DEADLINE_HEADER in wrong.json()["msg"]


@pytest.mark.parametrize("peers", [[], ["10.0.0.0/8"]])
async def test_other_addresses_are_not_trusted(serve_as: ServeAs, peers: list[str]) -> None:
    async with serve_as(blueprint(), DEADLINE_PEERS=peers) as http:
        response = await http.get("/sleep", params={"seconds": 0.2}, headers={DEADLINE_HEADER: "1"})
        assert response.status_code == 200
        assert 50 < response.json()["data"]["left"] <= 60  # that of RESPONSE_TIMEOUT


async def test_a_body_that_does_not_arrive_until_the_deadline_is_answered_408(serve_as: ServeAs) -> None:
    async with serve_as(blueprint()) as http:

        async def slow() -> AsyncIterator[bytes]:
            yield b'{"a"'
            await asyncio.sleep(1)
            yield b": 1}"

        response = await http.post("/short", content=slow(), headers={"Content-Type": "application/json"})
        assert response.status_code == 408


async def test_a_statement_is_cancelled_on_the_server_and_its_transaction_rolled_back(
    postgres_url: str, redis_url: str
) -> None:
    class ShopConfig(Config):
        SERVER_NAME = "shop"
        MODEL_LIST: list[str] = []

    class WriteAPI(APIView, public=True, deadline=1):
        async def post(self, request: Request) -> None:
            async with transaction():
                database = connections.get("default")
                await database.execute_query("INSERT INTO note VALUES (1)")
                await database.execute_query("SELECT pg_sleep(3600)")

    ask_postgres(postgres_url, "CREATE TABLE note (id INT PRIMARY KEY)")
    blueprint = Blueprint("notes")
    WriteAPI.attach(blueprint, "/notes")
    async with client(create_app(ShopConfig(DB_URL=postgres_url, REDIS_URL=redis_url), blueprint)) as http:
        assert (await http.post("/notes")).status_code == 503
        running = (
            "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND datname = current_database() "
            "AND query LIKE '%pg_sleep(3600)' AND pid <> pg_backend_pid()"
        )
        end = time.monotonic() + 30
        while await connections.get("default").execute_query_dict(running) and time.monotonic() < end:
            await asyncio.sleep(0.05)
        assert await connections.get("default").execute_query_dict(running) == []
        assert await connections.get("default").execute_query_dict("SELECT * FROM note") == []


async def test_outside_of_a_request_there_is_no_deadline() -> None:
    assert time_left() == float("inf")
    assert deadline_headers() == {}


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_an_invalid_deadline_is_refused(seconds: float) -> None:
    with pytest.raises(SanicBaseError, match="positive number of seconds"):

        class NeverAPI(APIView, public=True, deadline=seconds):
            pass
