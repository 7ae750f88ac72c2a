"""What tracing costs: the CPU time of a worker for each request, off, on and not sampled, and sampled.

    python benchmarks/tracing.py [rounds]

The same service answers a short JSON, over one kept connection, in random order and several rounds. The collector reads
what is sent and answers, in this process; figures are those of the worker, with the thread of its exporter. They are
medians of all rounds.
"""

from __future__ import annotations

import os
import random
import socket
import statistics
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sanicbase.testing import ServiceProcess

REQUESTS = 20_000
IN_FLIGHT = 50
TICK = 1 / os.sysconf("SC_CLK_TCK")
REQUEST = b"GET /answer HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = b'{"answer":42}'
SERVICE = """
from sanic import Blueprint, json
from sanicbase import Config, create_app, serve

class Settings(Config):
    SERVER_NAME = "answering"
    MODEL_LIST = []

routes = Blueprint("routes")

@routes.get("/answer")
async def answer(request):
    return json({"answer": 42})

app = create_app(Settings(), routes)

if __name__ == "__main__":
    serve(app)
"""


class Collector(BaseHTTPRequestHandler):
    """Accepts all spans."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def main(rounds: int) -> None:
    """Run all three `rounds` times, and print the differences."""
    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    endpoint = {"ANSWERING_TRACING_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}
    settings: dict[str, dict[str, str]] = {
        "off": {},
        "on, not sampled": {**endpoint, "ANSWERING_TRACING_RATIO": "0"},
        "sampled": {**endpoint, "ANSWERING_TRACING_RATIO": "1"},
    }
    cost: dict[str, list[float]] = {name: [] for name in settings}
    runs = [*cost] * rounds
    random.shuffle(runs)
    for name in runs:
        cost[name].append(measure(settings[name]))
    off = statistics.median(cost["off"])
    for name, figures in cost.items():
        median = statistics.median(figures)
        print(
            f"{name:16} {median * 1e6:6.1f} µs of CPU a request, from {min(figures) * 1e6:.1f}; "
            f"{(median - off) * 1e6:+6.1f} µs, {(median / off - 1) * 100:+.1f} %"
        )


def measure(env: dict[str, str]) -> float:
    """The CPU seconds of a worker for one request."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "serving.py"
        file.write_text(SERVICE)
        settings = {"ANSWERING_DB_URL": "sqlite://:memory:", **env}
        with ServiceProcess(file, cwd=Path(folder), prefix="ANSWERING_", env=settings) as service:
            service.wait_ready()
            worker = next(pid for pid in service.pids() if "sanic-worker" in Path(f"/proc/{pid}/comm").read_text())
            with socket.create_connection(("127.0.0.1", service.port)) as client:
                ask(client, 2000)
                before = cpu_of(worker)
                ask(client, REQUESTS)
                return (cpu_of(worker) - before) / REQUESTS


def ask(client: socket.socket, requests: int) -> None:
    """Send requests, IN_FLIGHT at once, and read their answers."""
    for _ in range(requests // IN_FLIGHT):
        client.sendall(REQUEST * IN_FLIGHT)
        answers, last = 0, b""
        while answers < IN_FLIGHT:
            last += client.recv(65_536)
            answers += last.count(ANSWER)
            last = last[last.rfind(ANSWER) + len(ANSWER) :] if ANSWER in last else last


def cpu_of(pid: int) -> float:
    """The CPU seconds that a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
