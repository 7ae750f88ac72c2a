"""The p99 of a JSON view, idle and during 50 sign-ins at once: `python benchmarks/sign_ins.py [rounds]`.

Four workers, passwords with the default parameters. Each round measures both, in an order that alternates, and the last
line has the medians. The ratio of the medians must be at most 2; otherwise the exit status is 1. Six rounds take less
than two minutes, on a machine that does nothing else.

The requests of the view are sent at a fixed rate, whether earlier ones were answered or not, on plain sockets: a client
like httpx would take as long as the service. The client shares the cores with the service, and waits for them as well.
So the ratio is that of the latencies until the response arrived at the client's socket, by the timestamp of the kernel;
the table also has those until the client read it. It needs Linux.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from sanicbase import Passwords
from sanicbase.testing import ServiceProcess

SIGN_INS = 50
RATE = 200  # requests of the view per second
SECONDS = 4.0
SETTLING = 0.5  # seconds in which the sign-ins begin, and end
ROUNDS = 6
SO_TIMESTAMPNS = 35  # socket(7); the socket module does not have it
TIMESPEC = struct.Struct("@ll")
BOUND = 2.0
VIEW = b"GET /item HTTP/1.1\r\nHost: shop\r\n\r\n"
SIGN_IN = b"POST /sign-in HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n"
CONFIG = """
from sanicbase import Config

class ShopConfig(Config):
    SERVER_NAME = "shop"
    MODEL_LIST = []
"""
LAUNCH = """
from sanic import Blueprint
from sanicbase import APIView, Passwords, create_app, serve
from shop.config import ShopConfig

passwords = Passwords()

class SignInAPI(APIView, public=True):
    async def post(self, request) -> bool:
        return (await passwords.verify("wrong", {stored!r})).matches

class ItemAPI(APIView, public=True):
    async def get(self, request) -> dict[str, int]:
        return {{"id": 1}}

blueprint = Blueprint("shop")
SignInAPI.attach(blueprint, "/sign-in")
ItemAPI.attach(blueprint, "/item")
app = create_app(ShopConfig(), blueprint)

if __name__ == "__main__":
    serve(app)
"""


class Latency(NamedTuple):
    """Milliseconds until a response arrived at the socket, and until the client read it."""

    arrived: float
    read: float


class Round(NamedTuple):
    """The p99 in milliseconds, and how many sign-ins were answered."""

    idle: float
    busy: float
    idle_read: float
    busy_read: float
    sign_ins: float

    def __str__(self) -> str:
        arrived = f"{self.idle:8.2f} ms  {self.busy:8.2f} ms  {self.busy / self.idle:6.2f}"
        read = f"{self.idle_read:8.2f} ms  {self.busy_read:8.2f} ms  {self.busy_read / self.idle_read:6.2f}"
        return f"{arrived}  {read}  {self.sign_ins:8.0f}"


class Client:
    """Requests on connections that are kept; one is opened when all are in use."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self._address = (url.hostname or "", url.port or 80)
        self._free: deque[socket.socket] = deque()  # the longest unused first, so that the service closes none

    async def send(self, request: bytes) -> tuple[int, Latency]:
        """The status of the response, and its latency."""
        connection = self._free.popleft() if self._free else await self._connect()
        start = time.time_ns()
        try:
            connection.send(request)
            head, arrived = await receive(connection)
        except BaseException:
            connection.close()
            raise
        latency = Latency((arrived - start) / 1e6, (time.time_ns() - start) / 1e6)
        if b"connection: close" in head.lower():
            connection.close()
        else:
            self._free.append(connection)
        return int(head.split(b" ", 2)[1]), latency

    async def _connect(self) -> socket.socket:
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        await asyncio.get_running_loop().sock_connect(connection, self._address)
        return connection

    def close(self) -> None:
        """Close all connections."""
        for connection in self._free:
            connection.close()


async def receive(connection: socket.socket) -> tuple[bytes, int]:
    """The head of a response, and when its last byte arrived, by the clock of the kernel."""
    data, arrived = b"", 0
    while not is_complete(data):
        await readable(connection)
        received, control, *_ = connection.recvmsg(65536, socket.CMSG_SPACE(TIMESPEC.size))
        if not received:
            raise ConnectionError("The service closed the connection.")
        data += received
        for _level, kind, value in control:
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = TIMESPEC.unpack(value)
                arrived = seconds * 1_000_000_000 + nanoseconds
    return data.partition(b"\r\n\r\n")[0], arrived


def is_complete(response: bytes) -> bool:
    """Whether the whole body is there."""
    head, end, body = response.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
    return bool(end) and len(body) >= int(length)


async def readable(connection: socket.socket) -> None:
    """Wait for bytes."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)


async def p99(client: Client) -> Latency:
    """The p99 of the view."""
    latencies: list[Latency] = []

    async def read() -> None:
        status, latency = await client.send(VIEW)
        assert status == 200, status
        latencies.append(latency)

    async with asyncio.TaskGroup() as group:
        begun = time.perf_counter()
        for number in range(int(RATE * SECONDS)):
            await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
            group.create_task(read())
    return Latency(*(statistics.quantiles(values, n=100)[98] for values in zip(*latencies, strict=True)))


@asynccontextmanager
async def signing_in(client: Client) -> AsyncIterator[list[int]]:
    """Keep that many sign-ins under way; the list has the statuses of those that were answered. At the end, the clients
    leave, and the hash of the last one ends."""
    statuses: list[int] = []

    async def user() -> None:
        while True:
            status, _ = await client.send(SIGN_IN)
            statuses.append(status)

    users = [asyncio.create_task(user()) for _ in range(SIGN_INS)]
    await asyncio.sleep(SETTLING)
    try:
        yield statuses
    finally:
        for each in users:
            each.cancel()
        await asyncio.gather(*users, return_exceptions=True)
        await asyncio.sleep(SETTLING)


async def measure_round(client: Client, *, busy_first: bool) -> Round:
    """Measure both, in that order."""
    idle = Latency(0.0, 0.0) if busy_first else await p99(client)
    async with signing_in(client) as statuses:
        busy = await p99(client)
    if busy_first:
        idle = await p99(client)
    return Round(idle.arrived, busy.arrived, idle.read, busy.read, statuses.count(200))


async def measure(address: str, rounds: int) -> float:
    """Print the table. Returns the ratio of the medians."""
    client = Client(address)
    await p99(client)  # warms up
    print("                   response arrived                      client read it")
    print("round    idle p99     busy p99   ratio     idle p99     busy p99   ratio  sign-ins")
    measured = []
    for number in range(rounds):
        measured.append(await measure_round(client, busy_first=number % 2 == 1))
        print(f"{number + 1:<6}{measured[-1]}", flush=True)
    client.close()
    median = Round(*(statistics.median(values) for values in zip(*measured, strict=True)))
    print(f"median{median}")
    return median.busy / median.idle


def main() -> int:
    """Start the service, and measure it. Returns the exit status."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    stored = asyncio.run(Passwords().hash("right"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shop" / "config").mkdir(parents=True)
        (folder / "shop" / "__init__.py").touch()
        (folder / "shop" / "config" / "__init__.py").write_text(CONFIG)
        (folder / "http_shop.py").write_text(LAUNCH.format(stored=stored))
        env = {"SHOP_WORKERS": "4", "SHOP_LOG_LEVEL": "WARNING"}
        with ServiceProcess(folder / "http_shop.py", cwd=folder, prefix="SHOP_", env=env) as service:
            service.wait_ready()
            return int(asyncio.run(measure(service.base_url, rounds)) > BOUND)


if __name__ == "__main__":
    sys.exit(main())
