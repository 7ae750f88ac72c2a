"""A service under three times the load that it can bear, with MAX_CONCURRENT_REQUESTS and without it.

    python -m benchmarks.overload [--seconds 8] [--view cpu|db]

The load is open: requests are sent at their times, whatever has been answered. A response counts when it is a 200
within the deadline; clients wait longer for it. The peak is measured first, with as many requests at once as the
service can use. PostgreSQL is that of SANICBASE_TEST_POSTGRES_URL, or a private one.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sanicbase.testing import ServiceProcess, fresh_postgres_database, postgres_server

DEADLINE = 1.0  # seconds
PATIENCE = 20.0  # seconds after which a client gives up
MAX_CONNECTIONS = 600
POOL = 4
AT_ONCE = {"cpu": 2, "db": POOL}
LIMITS = {"cpu": 8, "db": 2 * POOL}
LAUNCH = """
import time
from sanic import Blueprint
from sanicbase import APIView, Config, create_app, serve
from tortoise import connections

class LoadConfig(Config):
    SERVER_NAME = "load"
    MODEL_LIST = []
    LOG_CONSOLE = False

class CpuAPI(APIView, public=True):
    async def get(self, request) -> int:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        return 1

class DbAPI(APIView, public=True):
    async def get(self, request) -> int:
        await connections.get("default").execute_query("SELECT pg_sleep(0.05)")
        return 1

blueprint = Blueprint("load")
CpuAPI.attach(blueprint, "/cpu")
DbAPI.attach(blueprint, "/db")
app = create_app(LoadConfig(), blueprint)

if __name__ == "__main__":
    serve(app)
"""


@dataclass
class Result:
    """What came of a load: `good` responses a second were in time, of all that were `answered` a second while it
    lasted; and the slowest answer of `/livez`."""

    good: float = 0.0
    answered: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    late: int = 0
    failed: int = 0
    livez: float = 0.0


class Client:
    """Connections to one port, kept alive while they are answered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def open(self, count: int) -> None:
        """Open connections in advance, as a proxy has them: the kernel would hold back many at once."""
        for _ in range(count):
            self._idle.append(await asyncio.open_connection("127.0.0.1", self._port))

    async def get(self, path: str) -> int:
        """The status of the response."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: load\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
        except BaseException:
            writer.close()
            raise
        if b"connection: close" in head:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(head.split()[1])

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def peak(port: int, path: str, at_once: int, seconds: float) -> float:
    """The responses a second of a closed load."""
    client, end, done = Client(port), time.monotonic() + seconds, 0

    async def ask() -> None:
        nonlocal done
        while time.monotonic() < end:
            status = await client.get(path)
            done += status == 200

    await asyncio.gather(*(ask() for _ in range(at_once)))
    client.close()
    return done / seconds


async def overload(port: int, path: str, rate: float, seconds: float) -> Result:
    """Send `rate` requests a second."""
    client, result = Client(port), Result()
    await client.open(min(MAX_CONNECTIONS, int(rate * seconds)))
    started = time.monotonic()

    async def ask(due: float) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                status = await client.get(path)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            result.failed += 1
            return
        now = time.monotonic()
        if status == 200 and now < started + seconds:
            result.answered += 1 / seconds
        if now > due + DEADLINE:
            result.late += 1
            return
        result.statuses[status] = result.statuses.get(status, 0) + 1

    async def watch() -> None:
        health = Client(port)
        while time.monotonic() < started + seconds:
            start = time.monotonic()
            assert await health.get("/livez") == 200
            result.livez = max(result.livez, time.monotonic() - start)
            await asyncio.sleep(0.1)
        health.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch())
        for number in range(int(rate * seconds)):
            due = started + number / rate
            if (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            tasks.create_task(ask(due))
    client.close()
    result.good = result.statuses.get(200, 0) / seconds
    return result


@contextmanager
def service(view: str, *, limited: bool, db_url: str) -> Iterator[ServiceProcess]:
    """The service with one worker."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "http_load.py"
        file.write_text(LAUNCH)
        env = {
            "LOAD_DB_URL": db_url,
            "LOAD_DB_POOL_SIZE": str(POOL),
            "LOAD_MAX_CONCURRENT_REQUESTS": str(LIMITS[view] if limited else 0),
        }
        with ServiceProcess(file, cwd=Path(folder), prefix="LOAD_", env=env) as process:
            process.wait_ready()
            yield process


def measure(view: str, *, limited: bool, db_url: str, seconds: float) -> tuple[float, Result]:
    """The peak, and what is left of it under three times the load.

    On a machine that does other things as well, the peak may be higher during the load than it was before.
    """
    with service(view, limited=limited, db_url=db_url) as process:
        before = asyncio.run(peak(process.port, f"/{view}", AT_ONCE[view], seconds / 2))
        result = asyncio.run(overload(process.port, f"/{view}", 3 * before, seconds))
        return max(before, result.answered), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--view", choices=("cpu", "db"))
    options = parser.parse_args()
    with postgres_server() as server, fresh_postgres_database(server) as url:
        for view in [options.view] if options.view else ["cpu", "db"]:
            for limited in (True, False):
                most, result = measure(view, limited=limited, db_url=url, seconds=options.seconds)
                print(
                    f"{view:3} {'limited' if limited else 'control'}: peak {most:.1f}/s, in time {result.good:.1f}/s "
                    f"({result.good / most:.0%}), {result.statuses}, late {result.late}, failed {result.failed}, "
                    f"/livez {result.livez:.2f} s"
                )


if __name__ == "__main__":
    main()
