"""HTTP/3, which Sanic serves: responses have the headers of all others, in lower case, and HTTP/1.1 announces it."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

from sanicbase.testing import ServiceProcess
from sanicbase.testing.polling import wait_until
from sanicbase.testing.ports import free_port

LAUNCH = """
from sanic import Blueprint, empty, text
from sanicbase import Config, create_app

class QuicConfig(Config):
    SERVER_NAME = "quic"
    MODEL_LIST = []

blueprint = Blueprint("quic_views")

@blueprint.post("/echo")
async def echo(request):
    return text(request.body.decode(), headers={"X-Echo": "yes"})

@blueprint.get("/empty")
async def nothing(request):
    return empty()

app = create_app(QuicConfig(), blueprint)
"""
Answer = tuple[dict[str, str], bytes]


class Client(QuicConnectionProtocol):
    """One connection of HTTP/3."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._http = H3Connection(self._quic)
        self._answers: dict[int, tuple[dict[str, str], bytearray, asyncio.Future[None]]] = {}

    async def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        stream = self._quic.get_next_available_stream_id()
        headers, received, done = self._answers[stream] = {}, bytearray(), self._loop.create_future()
        sent = {":method": method, ":scheme": "https", ":authority": "localhost", ":path": path}
        self._http.send_headers(stream, [(name.encode(), value.encode()) for name, value in sent.items()])
        self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        await done
        return headers, bytes(received)

    def quic_event_received(self, event: QuicEvent) -> None:
        for received in self._http.handle_event(event):
            self._handle(received)

    def _handle(self, event: H3Event) -> None:
        if not isinstance(event, (HeadersReceived, DataReceived)):
            return
        headers, body, done = self._answers[event.stream_id]
        if isinstance(event, HeadersReceived):
            headers.update((name.decode(), value.decode()) for name, value in event.headers)
        else:
            body += event.data
        if event.stream_ended:
            done.set_result(None)


@contextmanager
def serving(folder: Path, redis_server_url: str) -> Iterator[tuple[ServiceProcess, int]]:
    """A service of HTTP/3 and HTTP/1.1, and its port."""
    file, pem = folder / "http_quic.py", folder / "all.pem"
    file.write_text(LAUNCH)
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    command = [sys.executable, "-m", "sanic", "http_quic:app", "--http=3", "--http=1", "--single-process"]
    command += ["--host", "127.0.0.1", "--port", str(port := free_port())]
    env = {"QUIC_DB_URL": f"sqlite://{folder}/data.sqlite3", "QUIC_REDIS_URL": redis_server_url}
    options = {"command": [*command, "--cert", str(pem), "--key", str(pem)], "cwd": folder, "env": env}
    with ServiceProcess(file, prefix="QUIC_", **options) as service:  # type: ignore[arg-type]
        wait_until(lambda: _answers(port), 60, what="an answer over TLS")
        yield service, port


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, redis_server_url: str) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("http3"), redis_server_url) as (_, port):
        yield port


def _answers(port: int) -> bool:
    try:
        return _get(port, "/livez").status_code == 200
    except httpx.TransportError:
        return False


def _get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"https://127.0.0.1:{port}{path}", verify=False, trust_env=False)


async def test_responses_have_all_headers_in_lower_case(port: int) -> None:
    configuration = QuicConfiguration(alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE)
    async with (
        asyncio.timeout(60),
        connect("127.0.0.1", port, configuration=configuration, create_protocol=Client) as opened,
    ):
        assert isinstance(opened, Client)
        headers, body = await opened.ask("POST", "/echo", b"hello")
        assert (headers[":status"], headers["x-echo"], body) == ("200", "yes", b"hello")
        assert headers["x-content-type-options"] == "nosniff"
        assert len(headers["x-request-id"]) == 32
        refused, _ = await opened.ask("GET", "/nowhere")
        assert (refused[":status"], refused["content-language"]) == ("404", "en")
        nothing, body = await opened.ask("GET", "/empty")
        assert (nothing[":status"], body) == ("204", b"")


def test_http_1_1_announces_it(port: int) -> None:
    assert _get(port, "/empty").headers["alt-svc"] == f'h3=":{port}"'
    assert _get(port, "/nowhere").headers["alt-svc"] == f'h3=":{port}"'


def test_a_service_of_both_versions_ends_at_sigterm(tmp_path: Path, redis_server_url: str) -> None:
    with serving(tmp_path, redis_server_url) as (service, _):
        assert service.terminate() == 0
