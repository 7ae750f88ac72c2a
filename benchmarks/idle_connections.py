"""The memory of an idle connection: a service of sanicbase beside bare Sanic.

    python -m benchmarks.idle_connections [--connections 5000] [--rounds 3]

A connection is new, or it has had one request with the headers of a browser and a cookie of its own. The figures are
the growth of the proportional set size of the server's processes, for each connection.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.harness.server import tree_memory
from sanicbase.testing import ServiceProcess

LAUNCH = {
    "sanicbase": """
from sanic import Blueprint, text
from sanicbase import Config, create_app, serve

class IdleConfig(Config):
    SERVER_NAME = "idle"
    MODEL_LIST = []
    LOG_CONSOLE = False
    KEEP_ALIVE_TIMEOUT = 600.0

blueprint = Blueprint("idle")

@blueprint.get("/")
async def root(request):
    return text("Hello")

app = create_app(IdleConfig(), blueprint)

if __name__ == "__main__":
    serve(app)
""",
    "Sanic": """
import os
from sanic import Sanic, text

app = Sanic("idle")
app.config.KEEP_ALIVE_TIMEOUT = 600
app.config.ACCESS_LOG = False

@app.get("/")
async def root(request):
    return text("Hello")

@app.get("/livez")
async def livez(request):
    return text("ok")

if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ["IDLE_HTTP_PORT"]), single_process=True, motd=False, access_log=False)
""",
}
REQUEST = "\r\n".join(
    (
        "GET / HTTP/1.1",
        "Host: shop.example.com",
        "Connection: keep-alive",
        "Cache-Control: max-age=0",
        'Sec-Ch-Ua: "Chromium";v="142", "Not=A?Brand";v="99"',
        "Sec-Ch-Ua-Mobile: ?0",
        'Sec-Ch-Ua-Platform: "Linux"',
        "Upgrade-Insecure-Requests: 1",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Accept-Language: en-GB,en;q=0.9",
        "Cookie: session={number:064x}",
        "\r\n",
    )
)
STILL = 100_000  # bytes by which pages that are shared with others may come and go
WARM_UP = 200  # connections that are not counted


@contextmanager
def server(name: str) -> Iterator[ServiceProcess]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "http_idle.py"
        file.write_text(LAUNCH[name])
        env = {"IDLE_DB_URL": f"sqlite://{folder}/data.sqlite3", "IDLE_REDIS_URL": "redis://127.0.0.1:6379/0"}
        with ServiceProcess(file, cwd=Path(folder), prefix="IDLE_", env=env if name == "sanicbase" else {}) as process:
            process.wait_ready()
            yield process


def connect(stack: ExitStack, port: int, count: int) -> list[socket.socket]:
    return [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(count)]


def ask(connections: list[socket.socket]) -> None:
    """Send one request over each, and read its response."""
    for number, connection in enumerate(connections):
        connection.sendall(REQUEST.format(number=number).encode())
        received = b""
        while not received.endswith(b"\r\n\r\nHello"):
            received += connection.recv(65536)


def settled(process: ServiceProcess) -> int:
    """The bytes of the processes when they do nothing any more."""
    last = tree_memory(process.pid)
    while True:
        time.sleep(0.5)
        now = tree_memory(process.pid)
        if abs(now - last) < STILL:
            return now
        last = now


def measure(name: str, count: int) -> tuple[float, float]:
    """The bytes of a new connection, and of one after a request."""
    with server(name) as process, ExitStack() as stack:
        ask(connect(stack, process.port, WARM_UP))
        before = settled(process)
        connections = connect(stack, process.port, count)
        new = settled(process)
        ask(connections)
        return (new - before) / count, (settled(process) - before) / count


def arguments() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle_connections", description=__doc__)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser


def main() -> None:
    """Measure, and print the medians."""
    options = arguments().parse_args()
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in LAUNCH}
    for _ in range(options.rounds):
        for name, rounds in results.items():
            rounds.append(measure(name, options.connections))
    for name, rounds in results.items():
        new, used = (statistics.median(figures) / 1024 for figures in zip(*rounds, strict=True))
        print(f"{name:10} new {new:.1f} KiB, after a request {used:.1f} KiB")


if __name__ == "__main__":
    main()
