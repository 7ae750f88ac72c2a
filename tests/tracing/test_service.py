"""A running service that traces: several workers, a collector that never answers, and a missing extra."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.preloaded import PreloadedService, preloaded
from tests.tracing.collector import collecting

SOON = 30.0
WORKERS = 3
SERVICE = f"""
from sanic import Blueprint, text
from sanicbase import Config, create_app, serve

class Settings(Config):
    SERVER_NAME = "traced"
    MODEL_LIST = []
    WORKERS = {WORKERS}

routes = Blueprint("routes")

@routes.get("/things/<number:int>")
async def thing(request, number):
    return text("a")

app = create_app(Settings(), routes)

if __name__ == "__main__":
    serve(app)
"""


@contextmanager
def service(directory: Path, endpoint: str, **settings: str) -> Iterator[ServiceProcess]:
    file = directory / "serving.py"
    file.write_text(SERVICE)
    env = {"TRACED_DB_URL": "sqlite://:memory:", "TRACED_TRACING_ENDPOINT": endpoint, **settings}
    with PreloadedService(file, cwd=directory, prefix="TRACED_", env=env) as process:
        process.wait_ready()
        wait_until(lambda: "traced_http is serving." in process.output(), SOON, what="the last worker")
        yield process


def ask(process: ServiceProcess, times: int) -> None:
    """Send requests, each on a connection of its own."""
    for number in range(times):
        url = f"http://127.0.0.1:{process.port}/things/{number}"
        httpx.get(url, trust_env=False, verify=NO_CERTIFICATES, timeout=SOON).raise_for_status()


def ask_at_once(client: socket.socket, times: int) -> None:
    """Send requests on one connection, fifty at once, and read their responses."""
    for _ in range(times // 50):
        client.sendall(b"GET /things/1 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        received = b""
        while received.count(b"HTTP/1.1 ") < 50 or not received.endswith(b"\r\n\r\na"):
            received += client.recv(65_536)
        assert received.count(b"HTTP/1.1 200 OK") == 50


def test_the_spans_of_all_workers_arrive(tmp_path: Path) -> None:
    with collecting() as collector, service(tmp_path, collector.url) as process:
        assert "not forked" not in process.output()  # a thread in the template would prevent forks

        def everyone_is_seen() -> bool:
            ask(process, 5)
            return len({span.resource["process.pid"] for span in collector.spans}) == WORKERS

        wait_until(everyone_is_seen, SOON, what="a span of each worker")
        asked = len(collector.spans)
        ask(process, 10)
        process.terminate()
    assert len(collector.spans) >= asked + 10  # the last ones are sent at the end
    assert {span.name for span in collector.spans} == {"GET /things/{number}"}


def test_a_collector_that_never_answers_delays_nobody(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with service(tmp_path, endpoint, TRACED_WORKERS="1") as process:
            with socket.create_connection(("127.0.0.1", process.port), timeout=SOON) as client:
                ask_at_once(client, 3000)  # more than the queue holds
                wait_until(lambda: "does not accept spans" in process.output(), SOON, what="the line of the outage")
                ask_at_once(client, 1000)
            process.terminate()
            assert process.output().count("does not accept spans") == 1
            assert "opentelemetry" not in process.output()
            assert "The last spans were not sent" in process.output()


def test_a_missing_extra_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "serving.py").write_text("import sys\nsys.modules['opentelemetry'] = None\n" + SERVICE)
    command = preloaded("serving.py")
    env = {"TRACED_TRACING_ENDPOINT": "http://127.0.0.1:4318", "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=SOON, check=False)
    assert ended.returncode == 1
    assert "Tracing needs OpenTelemetry: pip install 'sanicbase[tracing]'" in ended.stderr
    assert "Traceback" not in ended.stderr
