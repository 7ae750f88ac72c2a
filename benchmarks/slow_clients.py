"""Slow clients of every kind: how long a service endures them, and what the others notice.

    python -m benchmarks.slow_clients [--clients 200] [--rounds 3]
        [--kinds head body unread websocket handshake nothing tls]

The others send a request every few milliseconds, from a process of their own, first to a service without slow clients
and then beside them, in each round; the table shows the medians of the rounds. A slow client has ended when it has
received FIN or RST. All kinds take less than two minutes: the limit of a TLS handshake, of 60 seconds, passes beside
the others, whose latencies idle connections of another service do not change.
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
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import trustme

from benchmarks.load.websocket import HANDSHAKE
from sanicbase.testing import ServiceProcess

TIMEOUT = 2.5  # seconds: each timeout of the service
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
    return raw(bytes(500_000))

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
POLL = 0.05  # seconds between two looks at all slow clients
INTERVAL = 0.002  # seconds between two requests of the others
QUIET = 1.5  # seconds of a measurement without slow clients
GRACE = 0.5  # seconds that an end may be late: our look, and what the loop of the service does first
ESTABLISHED = 1  # tcp_info.tcpi_state


@dataclass(frozen=True)
class Kind:
    """What a slow client sends at once, and what again and again, and the seconds after which it must have ended: from
    then, or from the response if `is_answered`."""

    name: str
    beginning: bytes
    drop: bytes
    deadline: float
    service: Literal["http", "ws", "tls"] = "http"
    is_answered: bool = False


@dataclass
class Latencies:
    """The latencies of the others in each round, in seconds."""

    alone: list[list[float]] = field(default_factory=list)
    beside: list[list[float]] = field(default_factory=list)


HANDSHAKE_HEAD = HANDSHAKE.format(path="/", port=80).encode()
KINDS = {
    "nothing": Kind("nothing is sent", b"", b"", TIMEOUT),
    "head": Kind("a dripping head", b"GET / HTTP/1.1\r\n" + HOST + b"X: ", b"x", TIMEOUT),
    "body": Kind("a dripping body", b"POST /body HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n", b"x", TIMEOUT),
    "unread": Kind(
        "a response that is not read", b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n", b"", TIMEOUT, is_answered=True
    ),
    "handshake": Kind("half a WebSocket handshake", HANDSHAKE_HEAD[:-2], b"", TIMEOUT, "ws"),
    "websocket": Kind("a WebSocket without an answer to pings", HANDSHAKE_HEAD, b"", 2 * TIMEOUT, "ws", True),
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
def asking(port: int, windows: list[list[float]], *, tls: bool) -> Iterator[None]:
    """The others ask during the block; adds their latencies to the windows."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=others, args=(port, theirs), kwargs={"tls": tls})
    process.start()
    theirs.close()
    yield
    ours.send("stop")
    windows.append(ours.recv())
    process.join()


def is_open(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED


@contextmanager
def slow_clients(port: int, kind: Kind, clients: int) -> Iterator[dict[socket.socket, float]]:
    """Connected clients, and when the time of each begins."""
    with ExitStack() as stack:
        begun: dict[socket.socket, float] = {}
        for _ in range(clients):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", port))
            connection.sendall(kind.beginning)
            if kind.is_answered:
                connection.recv(1, socket.MSG_PEEK)
            begun[connection] = time.monotonic()
        yield begun


def endure(begun: dict[socket.socket, float], kind: Kind) -> list[float]:
    """The seconds after which each slow client has ended; infinite for one that has not in time."""
    left, ended, dripped = dict(begun), list[float](), time.monotonic()
    give_up = dripped + kind.deadline + GRACE + 10
    while left and time.monotonic() < give_up:
        drips = bool(kind.drop) and time.monotonic() - dripped > PAUSE
        dripped = time.monotonic() if drips else dripped
        for connection, since in list(left.items()):
            if not is_open(connection):
                ended.append(time.monotonic() - since)
                del left[connection]
            elif drips:
                with suppress(ConnectionError):
                    connection.send(kind.drop)
        time.sleep(POLL)
    return ended + [float("inf")] * len(left)


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1] * 1000


def measure(kind: Kind, clients: int, rounds: int) -> bool:
    """Measure a kind, and print its line; whether all clients had ended in time."""
    latencies, ended = Latencies(), list[float]()
    with serving(kind) as port:
        for _ in range(rounds):
            with asking(port, latencies.alone, tls=False):
                time.sleep(QUIET)
            with asking(port, latencies.beside, tls=False), slow_clients(port, kind, clients) as begun:
                ended += endure(begun, kind)
    return print_line(kind, ended, latencies)


@contextmanager
def measuring_tls(clients: int) -> Iterator[Future[bool]]:
    """The same for half a TLS handshake, in one round. Its clients are waited for while others are measured."""
    kind, latencies = KINDS["tls"], Latencies()
    with ThreadPoolExecutor() as pool, serving(kind) as port:
        with asking(port, latencies.alone, tls=True):
            time.sleep(QUIET)
        with slow_clients(port, kind, clients) as begun:
            ended = pool.submit(endure, begun, kind)
            with asking(port, latencies.beside, tls=True):
                time.sleep(QUIET)
            yield pool.submit(lambda: print_line(kind, ended.result(), latencies))
            ended.result()


def print_line(kind: Kind, ended: Sequence[float], latencies: Latencies) -> bool:
    """Print a line of the table; whether all clients had ended in time."""
    in_time = sum(moment <= kind.deadline + GRACE for moment in ended)
    cells = [f"{in_time} of {len(ended)}", f"{max(ended):.1f} s", f"{kind.deadline:g} s"]
    for percent in (50, 99):
        medians = (
            statistics.median(percentile(window, percent) for window in windows)
            for windows in (latencies.alone, latencies.beside)
        )
        cells += [f"{median:.1f} ms" for median in medians]
    print(f"| {kind.name} |", " | ".join(cells), "|", flush=True)
    return in_time == len(ended)


def arguments() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slow_clients", description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    return parser


def main() -> None:
    """Measure each kind, and print a table. Ends with status 1 when a client outlives its deadline."""
    options = arguments().parse_args()
    print("| slow clients | ended | the last | deadline | p50 alone | beside them | p99 alone | beside them |")
    print("|---|---|---|---|---|---|---|---|")
    with measuring_tls(options.clients) if "tls" in options.kinds else nullcontext() as tls:
        kinds = [kind for kind in options.kinds if kind != "tls"]
        results = [measure(KINDS[kind], options.clients, options.rounds) for kind in kinds]
        results += [tls.result()] if tls is not None else []
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
