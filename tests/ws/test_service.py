"""The example's WebSocket service as its users run it: `python ws_xi_test.py`, with four workers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from sanicbase.testing import ServiceProcess
from tests.preloaded import PreloadedService
from tests.ws.frames import TEXT, frame, raw_client
from tests.ws.restartable import restartable_redis

WORKERS = 4
ROOM = "/xi_test/room/lobby"


@asynccontextmanager
async def running(project: Path, redis_url: str) -> AsyncIterator[ServiceProcess]:
    env = {"XI_TEST_WORKERS": str(WORKERS), "XI_TEST_REDIS_URL": redis_url}
    with PreloadedService(project / "ws_xi_test.py", cwd=project, env=env, kind="ws") as service:
        await asyncio.to_thread(service.wait_ready)
        yield service


async def listening_workers(redis_url: str) -> int:
    """How many workers listen to the room: each subscribes once for all of its clients."""
    async with Redis.from_url(redis_url) as redis:
        ((_, count),) = await redis.pubsub_numsub("xi_test:room:lobby")
        return int(count)


async def on_every_worker(stack: AsyncExitStack, service: ServiceProcess, redis_url: str) -> list[ClientConnection]:
    """Connect clients to the room until each worker has one."""
    clients: list[ClientConnection] = []
    async with asyncio.timeout(30):
        while len(clients) < 8 or await listening_workers(redis_url) < WORKERS:
            clients.append(await stack.enter_async_context(connect(service.ws_url + ROOM)))
    return clients


async def received_by(clients: list[ClientConnection]) -> list[str | bytes]:
    async with asyncio.timeout(30):
        return [await client.recv() for client in clients]


async def test_a_room_spans_all_workers_and_survives_the_death_of_one(project: Path, redis_url: str) -> None:
    async with running(project, redis_url) as service, AsyncExitStack() as stack:
        clients = await on_every_worker(stack, service, redis_url)
        for number, client in enumerate(clients):
            await client.send(f"from {number}")
            assert await received_by(clients) == [f"from {number}"] * len(clients)

        mate = next(pid for pid in sorted(service.pids()) if serves(pid, clients[0]))
        theirs = [client for client in clients if serves(mate, client)]
        others = [client for client in clients if client not in theirs]
        assert theirs
        assert others
        os.kill(mate, signal.SIGKILL)
        for client in theirs:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(client.recv(), 30)
        for number, client in enumerate(others):
            await client.send(f"still {number}")
            assert await received_by(others) == [f"still {number}"] * len(others)


async def test_a_room_works_again_after_a_restart_of_redis(project: Path) -> None:
    with restartable_redis() as server:
        async with running(project, server.url) as service, AsyncExitStack() as stack:
            clients = await on_every_worker(stack, service, server.url)
            server.kill()
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(30):
                while await listening_workers(server.url) < WORKERS:
                    await asyncio.sleep(0.01)
            await clients[0].send("again")
            assert await received_by(clients) == ["again"] * len(clients)


async def test_thirty_clients_get_1001_when_the_service_stops(project: Path, redis_url: str) -> None:
    async with running(project, redis_url) as service, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connect(service.ws_url + path)) for path in ["/xi_test/echo", ROOM] * 15
        ]
        assert await asyncio.to_thread(service.terminate) == 0
        for client in clients:
            await asyncio.wait_for(client.wait_closed(), 30)
        assert [client.close_code for client in clients] == [1001] * 30
        assert "sanicbase.ws" not in service.output()


async def test_invalid_utf_8_ends_its_connection_and_no_other(project: Path, redis_url: str) -> None:
    async with running(project, redis_url) as service, connect(f"{service.ws_url}/xi_test/echo") as other:
        async with raw_client(service.port, "/xi_test/echo") as client:
            client.write(frame(TEXT, b"valid"))
            assert await client.read_frame() == (TEXT, b"valid")
            client.write(frame(TEXT, b"\xff"))
            assert await client.read_close() == 1007
        await other.send("hello")
        assert await other.recv() == "hello"
        assert "Traceback" not in service.output()


def serves(pid: int, client: ClientConnection) -> bool:
    """Whether the process has the server's end of the client's connection."""
    if sys.platform != "linux":
        pytest.skip("which process has a socket is looked up as Linux tells it")
    address, port = client.local_address[:2]
    remote = f"{''.join(f'{int(part):02X}' for part in reversed(address.split('.')))}:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[2] == remote}
    links = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            links.append(str(file.readlink()))
    return bool(sockets.intersection(links))
