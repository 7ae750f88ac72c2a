"""Slow clients of every kind: how long a service endures them, and what the others notice.

    python -m benchmarks.slow_clients [--clients 200] [--kinds head body unread websocket handshake nothing tls]

The others send a request every few milliseconds, from a process of their own, first to a service without slow clients
and then beside them. A slow client has ended when it has received FIN or RST.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import trustme

from benchmarks.load.websocket import HANDSHAKE
from sanicbase.testing import ServiceProcess

TIMEOUT = 5.0  # seconds: each timeout of the service
LAUNCH = f"""
from sanic import Blueprint, Request, raw, text
from sanicbase import Config, create_app, serve
from sanicbase.ws import WSView

class SlowConfig(Config):
    SERVER_NAME = "slow"
    MODEL_LIST = []
    LOG_CONSOLE = False
    REQUEST_TIMEOUT = RESPONSE_TIMEOUT = KEEP_ALIVE_TIMEOUT = {TIMEOUT}
    WEBSOCKET_PING_INTERVAL = WEBSOCKET_PING_TIMEOUT = {TIMEOUT}

blueprint = Blueprint("slow")

@blueprint.get("/large")
async def large(request: Request):
    return raw(bytes(2_000_000))

@blueprint.post("/body")
async def body(request: Request):
    return text(str(len(request.body)))

class SocketWS(WSView, public=True):
    pass

if KIND == "ws":
    blueprint = Blueprint("slow")
    SocketWS.attach(blueprint, "/")
app = create_app(SlowConfig(), blueprint)

if __name__ == "__main__":
    serve(app)
"""
HOST = b"Host: slow\r\n"
PAUSE = 0.5  # seconds between two bytes of a slow client
INTERVAL = 0.005  # seconds between two requests of the others
QUIET = 10.0  # seconds of the measurement without slow clients
GRACE = 3.0  # seconds that an end may be late: deadlines are checked every quarter of a timeout
ESTABLISHED = 1  # tcp_info.tcpi_state


@dataclass(frozen=True)
class Kind:
    """What a slow client sends at once, and what again and again, and the seconds after which it must have ended."""

    name: str
    beginning: bytes
    drop: bytes
    deadline: float
    service: Literal["http", "ws", "tls"] = "http"


HANDSHAKE_HEAD = HANDSHAKE.format(path="/", port=80).encode()
KINDS = {
    "nothing": Kind("nothing is sent", b"", b"", TIMEOUT),
    "head": Kind("a dripping head", b"GET / HTTP/1.1\r\n" + HOST + b"X: ", b"x", TIMEOUT),
    "body": Kind("a dripping body", b"POST /body HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n", b"x", TIMEOUT),
    # Where the kernel takes all of the response: KEEP_ALIVE_TIMEOUT, and two rounds of closing, in the first of which
    # the client's kernel may take some more.
    "unread": Kind("a response that is not read", b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n", b"", 3 * TIMEOUT),
    "handshake": Kind("half a WebSocket handshake", HANDSHAKE_HEAD[:-2], b"", TIMEOUT, "ws"),
    "websocket": Kind("a WebSocket without an answer to pings", HANDSHAKE_HEAD, b"", 2 * TIMEOUT, "ws"),
    "tls": Kind("half a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"", 60.0, "tls"),
}


@contextmanager
def serving(kind: Kind) -> Iterator[int]:
    """A service for such clients; its port."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        directory = Path(folder)
        file = directory / "http_slow.py"
        file.write_text(f'KIND = "{kind.service}"\n{LAUNCH}')
        command = None
        if kind.service == "tls":
            certificate = trustme.CA().issue_cert("localhost")
            certificate.private_key_and_cert_chain_pem.write_to_path(directory / "all.pem")
            pem = str(directory / "all.pem")
            command = [sys.executable, "-m", "sanic", "http_slow:app", "--cert", pem, "--key", pem, "--single-process"]
        env = {"SLOW_DB_URL": f"sqlite://{folder}/data.sqlite3", "SLOW_REDIS_URL": "redis://127.0.0.1:6379/0"}
        served: Literal["http", "ws"] = "ws" if kind.service == "ws" else "http"
        service = ServiceProcess(file, cwd=directory, env=env, prefix="SLOW_", kind=served, command=command)
        if command is not None:
            service.command = [*command, "--host", "127.0.0.1", "--port", str(service.port)]
        process = stack.enter_context(service)
        while not listens(process.port):
            time.sleep(0.1)
        yield process.port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def others(port: int, results: Connection, *, tls: bool) -> None:
    """Ask until something arrives in the pipe; then send back the latencies, in seconds."""
    results.send(asyncio.run(_ask(port, results, tls=tls)))


async def _ask(port: int, stop: Connection, *, tls: bool) -> list[float]:
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    latencies = []
    while not stop.poll():
        begun = time.perf_counter()
        writer.write(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        latencies.append(time.perf_counter() - begun)
        await asyncio.sleep(INTERVAL)
    writer.close()
    return latencies


@contextmanager
def asking(port: int, latencies: list[float], *, tls: bool) -> Iterator[None]:
    """The others ask during the block."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=others, args=(port, theirs), kwargs={"tls": tls})
    process.start()
    yield
    ours.send("stop")
    latencies.extend(ours.recv())
    process.join()


def is_open(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED


def endure(port: int, kind: Kind, clients: int) -> list[float]:
    """The seconds after which each slow client has ended; infinite for one that has not in time."""
    with ExitStack() as stack:
        begun: dict[socket.socket, float] = {}
        ended: list[float] = []
        for _ in range(clients):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", port))
            connection.sendall(kind.beginning)
            begun[connection] = time.monotonic()
        give_up = time.monotonic() + kind.deadline + GRACE + 10
        while begun and time.monotonic() < give_up:
            for connection, since in list(begun.items()):
                if not is_open(connection):
                    ended.append(time.monotonic() - since)
                    del begun[connection]
                elif kind.drop:
                    try:
                        connection.send(kind.drop)
                    except ConnectionError:
                        continue
            time.sleep(PAUSE if kind.drop else 0.05)
        return ended + [float("inf")] * len(begun)


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1] * 1000


def measure(kind: Kind, clients: int) -> bool:
    """Print a line of the table; whether all clients had ended in time."""
    with serving(kind) as port:
        tls, alone, beside = kind.service == "tls", list[float](), list[float]()
        with asking(port, alone, tls=tls):
            time.sleep(QUIET)
        with asking(port, beside, tls=tls):
            ended = endure(port, kind, clients)
    in_time = sum(moment <= kind.deadline + GRACE for moment in ended)
    cells = [f"{in_time} of {clients}", f"{max(ended):.1f} s", f"{kind.deadline:.0f} s"]
    for percent in (50, 99):
        cells += [f"{percentile(alone, percent):.1f} ms", f"{percentile(beside, percent):.1f} ms"]
    print(f"| {kind.name} |", " | ".join(cells), "|", flush=True)
    return in_time == clients


def arguments() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slow_clients", description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    return parser


def main() -> None:
    """Measure each kind, and print a table. Ends with status 1 when a client outlives its deadline."""
    options = arguments().parse_args()
    print("| slow clients | ended | the last | deadline | p50 alone | beside them | p99 alone | beside them |")
    print("|---|---|---|---|---|---|---|---|")
    results = [measure(KINDS[kind], options.clients) for kind in options.kinds]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
