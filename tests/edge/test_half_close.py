"""A client may send FIN and wait for its responses; one that sends it because it leaves is noticed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sanic import Blueprint, Request, Sanic, Websocket, text
from sanic.response import HTTPResponse
from sanic.server import AsyncioServer

from sanicbase.edge import protocol
from sanicbase.edge.protocol import EdgeProtocol
from sanicbase.testing.ports import free_port
from tests.certificates import make_certificates
from tests.edge.smuggling import HOST
from tests.http.conftest import ServeAs

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LARGE = 16 * 1024 * 1024  # bytes, more than the kernel takes at once
GET = b"GET %b HTTP/1.1\r\n" + HOST + b"\r\n"
UPLOADS = {
    "of a length": b"POST %b HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nbody",
    "in chunks": b"POST %b HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
}
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass
class Service:
    address: str | int
    trust: ssl.SSLContext | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_send: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Streams]:
        if isinstance(self.address, str):
            reader, writer = await asyncio.open_unix_connection(self.address)
        else:
            reader, writer = await asyncio.open_connection("localhost", self.address, ssl=self.trust)
        try:
            async with asyncio.timeout(30):
                yield reader, writer
        finally:
            writer.transport.abort()

    async def answer(self, sent: bytes) -> bytes:
        """Send the bytes with FIN, and read to the end of the connection."""
        async with self.connected() as (reader, writer):
            writer.write(sent)
            writer.write_eof()
            return await reader.read()

    @asynccontextmanager
    async def noting(self) -> AsyncIterator[None]:
        """Note that a handler begins, and whether it is cancelled."""
        self.begun.set()
        try:
            yield
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


def application(service: Service) -> Sanic[Any, Any]:
    app = Sanic("half_close", configure_logging=False)
    app.config.ACCESS_LOG = app.config.TOUCHUP = False

    @app.get("/")
    async def root(_: Request) -> HTTPResponse:
        return text("hello")

    @app.get("/large")
    async def large(_: Request) -> HTTPResponse:
        return HTTPResponse(bytes(LARGE))

    @app.get("/slow")
    async def slow(_: Request) -> HTTPResponse:
        async with service.noting():
            await service.may_end.wait()
        return text("hello")

    @app.get("/until-fin")
    async def until_fin(request: Request) -> HTTPResponse:
        service.begun.set()
        connection: Any = request.protocol
        while connection._half_closed is None:
            await asyncio.sleep(0)
        return text("hello")

    @app.websocket("/ws")  # type: ignore[untyped-decorator]
    async def websocket(_: Request, ws: Websocket) -> None:
        await ws.recv()

    add_streams(app, service)
    return app


def add_streams(app: Sanic[Any, Any], service: Service) -> None:
    @app.get("/stream")
    async def stream(request: Request) -> None:
        response = await request.respond(content_type="text/plain")
        async with service.noting():
            await response.send("first ")
            await service.may_send.wait()
            await response.send("second ")
            await service.may_end.wait()
        await response.send("last")

    @app.get("/endless")
    async def endless(request: Request) -> None:
        response = await request.respond(content_type="text/plain")
        async with service.noting():
            while not service.may_end.is_set():
                await response.send("more ")
                await asyncio.sleep(0)
        await response.send("last")

    @app.post("/echo")
    async def echo(request: Request) -> HTTPResponse:
        return HTTPResponse(request.body)

    @app.post("/streamed", stream=True)
    async def streamed(request: Request) -> HTTPResponse:
        async with service.noting():
            body = [data async for data in request.stream]  # type: ignore[union-attr]
        return HTTPResponse(b"".join(body))


@asynccontextmanager
async def serve(service: Service, certificate: ssl.SSLContext | None = None) -> AsyncIterator[Service]:
    address = service.address
    options: dict[str, Any] = {"unix": address} if isinstance(address, str) else {"host": "localhost", "port": address}
    app = application(service)
    try:
        server = await app.create_server(
            ssl=certificate, protocol=EdgeProtocol, return_asyncio_server=True, asyncio_server_kwargs={}, **options
        )
        assert isinstance(server, AsyncioServer)
        await server.startup()
        yield service
        server.close()
        await server.wait_closed()
        while server.connections:
            for connection in server.connections:
                connection.transport.abort()
            await asyncio.sleep(0)
        await server.after_stop()
    finally:
        Sanic._app_registry.pop(app.name)


@pytest.fixture(params=["tcp", "unix"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    with TemporaryDirectory() as directory:  # the path of a socket must be short
        async with serve(Service(free_port() if request.param == "tcp" else f"{directory}/http")) as service:
            yield service


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HALF_CLOSED_TIMEOUT", 0.1)


async def test_a_request_with_fin_is_answered(service: Service) -> None:
    answer = await service.answer(GET % b"/")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nhello")


async def test_pipelined_requests_with_fin_are_answered(service: Service) -> None:
    answer = await service.answer(3 * (GET % b"/") + b"".join(UPLOADS.values()).replace(b"%b", b"/echo"))
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 5
    assert answer.count(b"hello") == 3
    assert answer.count(b"body") == 2


@pytest.mark.usefixtures("impatient")
async def test_a_long_response_is_received_completely(service: Service) -> None:
    _, _, body = (await service.answer(GET % b"/large")).partition(b"\r\n\r\n")
    assert len(body) == LARGE


@pytest.mark.parametrize("path", [b"/echo", b"/streamed"])
@pytest.mark.parametrize("kind", UPLOADS)
async def test_a_body_with_fin_is_answered(service: Service, kind: str, path: bytes) -> None:
    assert (await service.answer(UPLOADS[kind] % path)).endswith(b"\r\n\r\nbody")


@pytest.mark.parametrize("path", [b"/until-fin", b"/slow", b"/stream"])
async def test_a_handler_that_runs_when_fin_arrives_completes_its_response(service: Service, path: bytes) -> None:
    async with service.connected() as (reader, writer):
        writer.write(GET % path)
        await service.begun.wait()
        writer.write_eof()
        service.may_send.set()
        service.may_end.set()
        assert (await reader.read()).endswith((b"hello", b"last\r\n0\r\n\r\n"))
    assert not service.cancelled.is_set()


@pytest.mark.usefixtures("impatient")
async def test_a_stream_goes_on_while_it_sends(service: Service) -> None:
    asyncio.get_running_loop().call_later(10 * protocol.HALF_CLOSED_TIMEOUT, service.may_end.set)
    assert (await service.answer(GET % b"/endless")).endswith(b"last\r\n0\r\n\r\n")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost:", UPLOADS["of a length"][:-1] % b"/echo"])
@pytest.mark.parametrize("before", [0, 2])
async def test_fin_between_requests_or_within_one_ends_the_connection(
    service: Service, before: int, sent: bytes
) -> None:
    answer = await service.answer(before * (GET % b"/") + sent)
    assert answer.count(b"hello") == answer.count(b"HTTP/1.1") == before


@pytest.mark.parametrize("before", [b"", GET % b"/"])
async def test_fin_within_a_body_cancels_the_handler_that_reads_it(service: Service, before: bytes) -> None:
    answer = await service.answer(before + UPLOADS["of a length"][:-1] % b"/streamed")
    assert answer.count(b"HTTP/1.1") == bool(before)
    await service.cancelled.wait()


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("path", [b"/slow", b"/stream"])
@pytest.mark.usefixtures("impatient")
async def test_a_handler_that_sends_nothing_is_cancelled(service: Service, path: bytes, leaves: bool) -> None:
    async with service.connected() as (reader, writer):
        writer.write(GET % path)
        await service.begun.wait()
        if leaves:
            writer.close()
        else:
            writer.write_eof()
        await service.cancelled.wait()
        if not leaves:
            assert not (await reader.read()).endswith((b"hello", b"last\r\n0\r\n\r\n"))


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_leaves_is_noticed_when_something_is_sent(service: Service) -> None:
    async with service.connected() as (_, writer):
        writer.write(GET % b"/stream")
        await service.begun.wait()
        writer.close()
        service.may_send.set()
        assert await service.cancelled.wait()


@pytest.mark.parametrize("settings", [{}, {"MAX_CONCURRENT_REQUESTS": 1}])
async def test_a_service_answers_too(serve_as: ServeAs, settings: dict[str, Any]) -> None:
    blueprint = Blueprint("half_close")

    @blueprint.get("/")
    async def root(_: Request) -> HTTPResponse:
        return text("hello")

    async with serve_as(blueprint, **settings) as client:
        assert client.base_url.port is not None
        answer = await Service(client.base_url.port).answer(2 * (GET % b"/"))
    assert answer.count(b"hello") == 2


async def test_a_websocket_needs_a_client_that_can_send(service: Service) -> None:
    answer = await service.answer(GET % b"/until-fin" + HANDSHAKE)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 400 " in answer


@pytest.mark.parametrize("path", [b"/slow", b"/stream"])
async def test_over_tls_a_client_that_ends_has_left(tmp_path: Path, path: bytes) -> None:
    files = make_certificates(tmp_path)
    certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    (tmp_path / "server.pem").write_bytes(files.server.key + files.server.chain)
    certificate.load_cert_chain(tmp_path / "server.pem")
    trust = ssl.create_default_context(cafile=files.ca)
    async with serve(Service(free_port(), trust), certificate) as service, service.connected() as (_, writer):
        writer.write(GET % path)
        await service.begun.wait()
        writer.close()
        assert await service.cancelled.wait()
