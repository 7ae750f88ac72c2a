"""No request is read in two ways: malformed ones are refused, and nothing that follows them is executed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from sanic import Blueprint, Request, text
from sanic.response import HTTPResponse

from tests.edge.smuggling import ACCEPTED, HOST, REFUSED
from tests.http.conftest import ServeAs
from tests.http.wire import Answer, exchange

SECRET = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


@dataclass
class Service:
    port: int
    smuggled: list[str] = field(default_factory=list)


@pytest.fixture(params=["sanicbase"])
async def service(serve_as: ServeAs, request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    blueprint = Blueprint("edge")
    running = Service(0)

    @blueprint.get("/")
    async def root(_: Request) -> HTTPResponse:
        return text("")

    @blueprint.post("/echo")
    async def echo(request: Request) -> HTTPResponse:
        return text(request.body.decode(), headers={"X-Host": request.headers.get("host", "")})

    @blueprint.get("/smuggled")
    async def smuggled(_: Request) -> HTTPResponse:
        running.smuggled.append("GET /smuggled")
        return text("")

    async with serve_as(blueprint, REQUEST_TIMEOUT=1.0, EDGE=request.param) as client:
        assert client.base_url.port is not None
        running.port = client.base_url.port
        yield running


def test_the_corpus_has_at_least_200_requests() -> None:
    assert len({sent for sent, _ in REFUSED}) >= 200


async def test_ambiguous_requests_are_refused(service: Service) -> None:
    wrong = []
    for sent, status in REFUSED:
        response = await _exchange(service, sent + SECRET)
        if response.status != status or not response.whole or response.headers.get("connection") != "close":
            wrong.append((sent[:120], status, response.status, response.headers.get("connection")))
    assert wrong == []
    assert service.smuggled == []


@pytest.mark.parametrize("service", ["sanic"], indirect=True)
async def test_sanics_own_protocol_executes_what_is_smuggled(service: Service) -> None:
    for sent, _ in REFUSED:
        await _exchange(service, sent + SECRET)
    assert len(service.smuggled) > 20


async def test_allowed_requests_are_read_as_written(service: Service) -> None:
    wrong = []
    for sent, body in ACCEPTED:
        response = await _exchange(service, sent)
        if (response.status, response.body) != (200, body) or response.headers.get("x-host", "x") != "x":
            wrong.append((sent[:120], response.status, response.body))
    assert wrong == []


async def test_a_request_behind_another_is_answered_as_well(service: Service) -> None:
    kept = [sent for sent, _ in ACCEPTED if b"HTTP/1.0" not in sent]
    for sent in kept:
        await asyncio.to_thread(_both, service.port, sent + SECRET)
    assert len(service.smuggled) == len(kept)


async def test_requests_may_arrive_byte_by_byte(service: Service) -> None:
    for sent, body in ACCEPTED:
        if len(sent) > 200:
            continue
        response = await asyncio.to_thread(_byte_by_byte, service.port, sent)
        assert response.endswith(b"\r\n\r\n" + body), (sent, response)


async def _exchange(service: Service, sent: bytes) -> Answer:
    return await asyncio.to_thread(exchange, service.port, sent)


def _both(port: int, sent: bytes) -> None:
    """Send two requests and read both responses."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while received.count(b"HTTP/1.1 200 OK") < 2:
            data = connection.recv(65536)
            assert data, received
            received += data


def _byte_by_byte(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in sent:
            connection.send(bytes([byte]))
        return connection.recv(65536)
