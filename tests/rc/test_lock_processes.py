"""Locks between processes that are killed and stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from sanicbase import lock
from sanicbase.rc import RedisClients
from tests.db.opening import Store, opened
from tests.db.reports import Report
from tests.preloaded import preloaded
from tests.rc.holding import ShopConfig

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


@asynccontextmanager
async def running(*args: str, cold: bool = True) -> AsyncIterator[Process]:
    """A process; a `cold` one imports everything itself, and gets the signals that are sent."""
    program = ("-m", "tests.rc.holding", *args)
    command = [sys.executable, *program] if cold else preloaded(*program)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


@pytest.fixture
async def database(tmp_path: Path) -> str:
    """An embedded database with the report that is fought for."""
    url = f"sqlite://{tmp_path / 'reports.sqlite3'}"
    async with opened(Store("sqlite", url), "tests.db.reports"):
        await Report.create(id=1)
    return url


async def test_processes_that_count_together_lose_nothing(redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("0", encoding="ascii")
    args = ("count", redis_url, str(path), "60")
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(running(*args, cold=False)) for _ in range(4)]
        assert [await process.wait() for process in processes] == [0] * 4
    assert path.read_text(encoding="ascii") == "240"


async def test_a_holder_that_is_killed_is_followed_by_another(redis_url: str, database: str) -> None:
    async with running("hold", redis_url, "2", database) as first:
        token = int(await line(first))
        async with running("hold", redis_url, "2", database) as second:
            first.kill()
            assert int(await line(second)) > token


async def test_a_holder_that_was_stopped_is_cancelled_and_its_late_write_refused(redis_url: str, database: str) -> None:
    async with running("hold", redis_url, "1", database) as first:
        token = int(await line(first))
        first.send_signal(signal.SIGSTOP)
        async with RedisClients(ShopConfig(REDIS_URL=redis_url), ""), lock("report") as held:
            assert held.token > token
            async with opened(Store("sqlite", database), "tests.db.reports"):
                await Report.update_fenced({"id": 1}, {"body": "in time"}, token=held.token)
                first.send_signal(signal.SIGCONT)
                assert (await line(first)).startswith("lost: The lock 'report' was lost")
                assert await line(first) == "refused"
                assert [one.body for one in await Report.all()] == ["in time"]
        assert await first.wait() == 0
