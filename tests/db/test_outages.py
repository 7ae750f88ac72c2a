"""Servers go away under load, and come back: nobody hangs, nothing acknowledged is lost, and it goes on by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from uuid import uuid4

import pytest
from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from sanicbase.db import Database
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable
from tests.db.fragile import Fragile
from tests.db.ledger import Entry
from tests.db.opening import library_config, opened
from tests.db.outages import proxied

TASKS = 20
LIMIT = 1.0
MAX_WAIT = 3 * (LIMIT + 0.5) + 5  # for a connection, a statement and its end, and a bound on hanging above that
BACK = 20.0  # seconds in which writes must be possible again; what it took is recorded

Record = Callable[[str, object], None]


class Load:
    """Tasks that write without a pause, and what became of each write."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, float] = {}
        self.failures: list[Exception] = []
        self.longest = 0.0
        self._ends = asyncio.Event()

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._write_on(number)) for number in range(TASKS)]
        await self.progress()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._ends.set()
        async with asyncio.timeout(MAX_WAIT):
            await asyncio.gather(*self._tasks)

    async def progress(self) -> float:
        """Wait until writes are acknowledged that begin now; return how long it took."""
        loop = asyncio.get_running_loop()
        since, count = loop.time(), len(self.acknowledged)
        async with asyncio.timeout(BACK):
            while len(self.acknowledged) < count + TASKS:
                await asyncio.sleep(0.01)
        return next(at for at in self.acknowledged.values() if at >= since) - since

    async def failing(self) -> None:
        """Wait until a write fails."""
        count = len(self.failures)
        async with asyncio.timeout(MAX_WAIT):
            while len(self.failures) < count + TASKS:
                await asyncio.sleep(0.01)

    async def _write_on(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        while not self._ends.is_set():
            name, began = uuid4().hex, loop.time()
            try:
                await self._write(name, inside=number % 2 == 0)
            except DatabaseError as exc:
                self.failures.append(exc)
                await asyncio.sleep(0.01)
            else:
                self.acknowledged[name] = loop.time()
            self.longest = max(self.longest, loop.time() - began)

    async def _write(self, name: str, *, inside: bool) -> None:
        if not inside:
            await Entry.create(id=name)
            return
        async with in_transaction():
            await Entry.create(id=name)
            await Entry.create(id=f"{name}-2")

    async def assert_kept_its_word(self) -> None:
        kinds = {type(failure) for failure in self.failures}
        assert kinds <= {DatabaseUnavailable, DatabaseTimeout}, self.failures
        assert self.longest < MAX_WAIT
        stored: set[str] = {entry.id for entry in await Entry.all().only("id")}
        assert self.acknowledged.keys() - stored == set()
        halves = {name.partition("-")[0] for name in stored if name.endswith("-2")}
        assert halves <= stored
        client = get_connection("default")
        questions = [client.execute_query_dict(f"SELECT {number} AS n") for number in range(40)]
        assert [rows[0]["n"] for rows in await asyncio.gather(*questions)] == list(range(40))
        pool = client._pool
        assert (pool._used, pool._taken) == (set(), len(pool._free))


def settings() -> dict[str, float]:
    return {"DB_STATEMENT_TIMEOUT": LIMIT, "DB_ACQUIRE_TIMEOUT": LIMIT, "CONNECT_TIMEOUT": LIMIT}


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "sanicbase.db"]


async def test_server_that_is_killed_and_started_again(
    fragile: Fragile, record_property: Record, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sanicbase.db")
    async with opened(fragile.store, "tests.db.ledger", **settings()):
        async with Load() as load:
            await asyncio.to_thread(fragile.server.end)
            await load.failing()
            await asyncio.to_thread(fragile.server.restart)
            record_property("seconds until a write succeeds", await load.progress())
            record_property("longest call", load.longest)
        await load.assert_kept_its_word()
    gone, back = lines(caplog)
    assert gone.startswith("The database default at 127.0.0.1:")
    assert "does not answer: " in gone
    assert "answers again" in back


async def test_server_that_hangs_and_resumes(
    fragile: Fragile, record_property: Record, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sanicbase.db")
    async with opened(fragile.store, "tests.db.ledger", **settings()):
        async with Load() as load:
            with fragile.server.frozen():
                await load.failing()
                await load.failing()
            record_property("seconds until a write succeeds", await load.progress())
            record_property("longest call", load.longest)
        await load.assert_kept_its_word()
    gone, back = lines(caplog)
    # The second where a new connection was wanted at that moment.
    assert gone.endswith(("does not answer: no answer in time.", "The server accepted no connection within 1 seconds."))
    assert "answers again" in back


async def test_connections_that_are_reset(fragile: Fragile, record_property: Record) -> None:
    async with proxied(fragile.store.url) as proxy:
        store = fragile.store._replace(url=proxy.url)
        async with opened(store, "tests.db.ledger", **settings()):
            async with Load() as load:
                duration = 0.0
                for _ in range(10):
                    proxy.reset_all()
                    duration = max(duration, await load.progress())
                record_property("seconds until a write succeeds", duration)
                record_property("longest call", load.longest)
            await load.assert_kept_its_word()
            assert load.failures
            assert proxy.cut >= 10


async def test_a_frozen_server_does_not_hold_cancelled_callers(fragile: Fragile) -> None:
    timeouts = dict.fromkeys(("DB_STATEMENT_TIMEOUT", "DB_ACQUIRE_TIMEOUT", "CONNECT_TIMEOUT"), 30)
    async with opened(fragile.store, "tests.db.ledger", **timeouts):
        with fragile.server.frozen():
            tasks = [asyncio.create_task(Load()._write(uuid4().hex, inside=bool(n % 2))) for n in range(TASKS)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            async with asyncio.timeout(MAX_WAIT):
                results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)
        async with asyncio.timeout(BACK):
            await Entry.create(id="after")


async def test_first_statements_wait_for_a_silent_server_side_by_side(fragile: Fragile) -> None:
    config = library_config(fragile.store, "tests.db.ledger", **settings())
    async with Database(config, connect=False):
        with fragile.server.frozen():
            async with asyncio.timeout(MAX_WAIT):  # one after another they would wait for TASKS times the limit
                results = await asyncio.gather(*(Entry.all().count() for _ in range(TASKS)), return_exceptions=True)
        assert {type(result) for result in results} <= {DatabaseUnavailable, DatabaseTimeout}
        async with asyncio.timeout(BACK):
            await Tortoise.generate_schemas()
            await Entry.create(id="after")


async def test_closing_does_not_wait_for_a_server_that_hangs(fragile: Fragile) -> None:
    async with asyncio.timeout(MAX_WAIT + 10):
        async with opened(fragile.store, "tests.db.ledger", **settings()):
            await asyncio.gather(*[Entry.create(id=str(number)) for number in range(10)])
            frozen = fragile.server.frozen()
            frozen.__enter__()
        frozen.__exit__(None, None, None)
