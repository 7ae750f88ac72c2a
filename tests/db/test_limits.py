"""Nothing lasts longer than its limit, and what was left in the middle harms nobody afterwards."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, cast

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.sqlite.client import SqliteClient
from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from sanicbase.db.engine.pool import Pool
from sanicbase.db.engine.pooled import PooledClient
from sanicbase.db.engine.timeouts import TaskTimeout
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable
from tests.db.ledger import Entry, Owner
from tests.db.opening import Store, opened

LIMIT = 1.0
SLACK = 5.0  # a bound on hanging; what is really measured is in the benchmarks

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
SLOW = {"sqlite": ENDLESS, "postgres": "SELECT pg_sleep(60)", "aiomysql": "SELECT SLEEP(60)"}
SLOW["asyncmy"] = SLOW["aiomysql"]


@asynccontextmanager
async def limited(store: Store, **settings: Any) -> AsyncIterator[BaseDBAsyncClient]:
    settings = {"DB_STATEMENT_TIMEOUT": LIMIT, "DB_ACQUIRE_TIMEOUT": LIMIT, "DB_POOL_SIZE": 3} | settings
    async with opened(store, "tests.db.ledger", **settings):
        yield get_connection("default")


async def answers(client: BaseDBAsyncClient) -> None:
    """Every connection says what it is asked, and nothing else."""

    async def ask(number: int) -> None:
        rows = await client.execute_query_dict(f"SELECT {number} AS number")
        assert [dict(row) for row in rows] == [{"number": number}]

    await asyncio.gather(*map(ask, range(40)))
    async with asyncio.timeout(SLACK):  # one that is being made fit again comes back, too
        while not _all_are_free(client):
            await asyncio.sleep(0.01)


def _all_are_free(client: BaseDBAsyncClient) -> bool:
    if not isinstance(client, PooledClient):
        return not cast(SqliteClient, client)._lock.locked()
    pool = client._pool
    assert pool is not None
    return not pool._used and pool._taken == len(pool._free) <= client.pool_maxsize


async def test_closing_awaits_the_statements_in_flight(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    if store.kind == "sqlite":
        pytest.skip("SQLite has no pool.")
    monkeypatch.setattr("sanicbase.db.engine.pool.CLOSE_TIMEOUT", 600.0)
    select = "SELECT 7 AS number, " + SLOW[store.kind].removeprefix("SELECT ").replace("60", "0.2")
    async with limited(store) as client:
        statement = asyncio.create_task(client.execute_query_dict(select))
        while _all_are_free(client):
            await asyncio.sleep(0.01)
        await client.close()
        [row] = await statement
        assert row["number"] == 7


async def test_statement_that_takes_too_long_is_a_timeout(store: Store) -> None:
    async with limited(store, DB_ACQUIRE_TIMEOUT=30) as client:
        for run in (client.execute_query, client.execute_query_dict, client.execute_script):
            with pytest.raises(DatabaseTimeout):
                async with asyncio.timeout(LIMIT + SLACK):
                    await run(SLOW[store.kind])
        await answers(client)


async def test_transaction_in_which_a_statement_took_too_long_is_rolled_back(store: Store) -> None:
    async with limited(store, DB_ACQUIRE_TIMEOUT=30) as client:

        async def write() -> None:
            async with asyncio.timeout(LIMIT + SLACK), in_transaction() as connection:
                await Entry.create(id="before")
                await connection.execute_query(SLOW[store.kind])

        async def write_on() -> None:
            async with asyncio.timeout(LIMIT + SLACK), in_transaction() as connection:
                await Entry.create(id="before")
                with suppress(DatabaseTimeout):
                    await connection.execute_query(SLOW[store.kind])
                with suppress(DatabaseError):
                    await Entry.create(id="after")

        with pytest.raises(DatabaseTimeout):
            await write()
        with pytest.raises(DatabaseError, match="An earlier error has aborted this transaction"):
            await write_on()
        assert await Entry.all().count() == 0
        await answers(client)


async def test_statements_that_find_every_connection_busy_wait_their_limit(store: Store) -> None:
    async with limited(store, DB_STATEMENT_TIMEOUT=30) as client:
        leave = asyncio.Event()

        async def hold() -> None:
            async with in_transaction():
                await leave.wait()

        async def ask_on() -> None:
            while True:  # until the holders have theirs
                async with asyncio.timeout(LIMIT + SLACK):
                    await client.execute_query("SELECT 1")

        holders = [asyncio.create_task(hold()) for _ in range(1 if store.kind == "sqlite" else 3)]
        with pytest.raises(DatabaseTimeout, match=r"was (not )?free within"):
            await ask_on()
        waiter = asyncio.create_task(client.execute_query("SELECT 1"))
        given_up = asyncio.create_task(client.execute_query("SELECT 1"))
        await asyncio.sleep(0)
        given_up.cancel()
        leave.set()
        async with asyncio.timeout(SLACK):
            await asyncio.gather(waiter, *holders)
        await answers(client)


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in_transaction"])
async def test_cancelled_statements_leave_every_connection_fit(store: Store, inside: bool) -> None:
    async with limited(store, DB_STATEMENT_TIMEOUT=30, DB_ACQUIRE_TIMEOUT=30) as client:

        async def work(number: int) -> None:
            if not inside:
                await client.execute_query(SLOW[store.kind] if number % 2 else f"SELECT {number}")
                return
            async with in_transaction() as connection:
                await Entry.create(id=f"lost-{number}")
                await connection.execute_query(SLOW[store.kind])

        for number in range(24):
            task = asyncio.create_task(work(number))
            for _ in range(number):  # at another moment each time
                await asyncio.sleep(0.0005)
            task.cancel()
            with suppress(asyncio.CancelledError):
                async with asyncio.timeout(SLACK):
                    await task
        async with asyncio.timeout(30):
            await answers(client)
            assert await Entry.all().count() == 0


async def test_results_are_not_mixed_up_while_others_are_cancelled(store: Store) -> None:
    async with limited(store, DB_STATEMENT_TIMEOUT=30, DB_ACQUIRE_TIMEOUT=30) as client:
        chance = random.Random(7)

        async def ask(number: int) -> None:
            for step in range(30):
                question = f"SELECT {number} AS number, {step} AS step"
                if step % 3:
                    rows = await client.execute_query_dict(question)
                else:
                    async with in_transaction() as connection:
                        rows = await connection.execute_query_dict(question)
                assert dict(rows[0]) == {"number": number, "step": step}

        async def disturbed(number: int) -> None:
            for _ in range(15):
                task = asyncio.create_task(ask(number))
                await asyncio.sleep(chance.random() / 100)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

        async with asyncio.timeout(60):
            await asyncio.gather(*map(ask, range(10)), *map(disturbed, range(10, 20)))
        await answers(client)


async def test_cancelled_bulk_leaves_no_transaction_open(store: Store) -> None:
    async with limited(store, DB_POOL_SIZE=1, DB_STATEMENT_TIMEOUT=30, DB_ACQUIRE_TIMEOUT=30):
        for number in range(20):
            entries = [Entry(id=f"{number}-{row}") for row in range(300)]
            task = asyncio.create_task(_bulk(entries))
            for _ in range(number):
                await asyncio.sleep(0.0005)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert await Entry.filter(id__startswith=f"{number}-").count() in (0, 300)
        await Entry.create(id="last")
        assert await Entry.filter(id="last").exists()


async def _bulk(entries: list[Entry]) -> None:
    await Entry.bulk_create(entries)


async def test_statements_of_one_transaction_take_turns(store: Store) -> None:
    async with limited(store, DB_ACQUIRE_TIMEOUT=30) as client:
        async with in_transaction() as connection:

            async def ask(number: int) -> None:
                rows = await connection.execute_query_dict(f"SELECT {number} AS number")
                assert dict(rows[0]) == {"number": number}

            async def nested(number: int) -> None:
                async with in_transaction():
                    await Owner.create(id=number + 1, email=str(number))

            await asyncio.gather(*map(ask, range(20)))
            for number in range(3):
                await nested(number)
        assert await Owner.all().count() == 3
        await answers(client)


async def test_begin_that_fails_gives_its_connection_back(store: Store) -> None:
    """A pool of one, so that the first that was lost would be the last."""
    async with limited(store, DB_STATEMENT_TIMEOUT=30, DB_ACQUIRE_TIMEOUT=30, DB_POOL_SIZE=1) as client:
        for _ in range(3):
            task = asyncio.create_task(_transaction())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await _transaction()
        await answers(client)


async def _transaction() -> None:
    async with in_transaction():
        await Entry.all().count()


async def test_sqlite_that_another_process_has_locked_is_a_timeout(store: Store) -> None:
    if store.kind != "sqlite":
        pytest.skip("Locks of the other databases are the server's.")
    async with limited(store) as client:
        with closing(sqlite3.connect(store.url.removeprefix("sqlite://"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for attempt in (_transaction, lambda: Entry.create(id="one")):
                with pytest.raises(DatabaseTimeout, match="locked"):
                    async with asyncio.timeout(LIMIT + SLACK):
                        await attempt()
            other.execute("ROLLBACK")
        await Entry.create(id="two")
        await answers(client)


async def test_every_connection_sets_the_statement_timeout(store: Store) -> None:
    question = {
        "sqlite": "SELECT timeout / 1000.0 AS it FROM pragma_busy_timeout",
        "postgres": "SELECT setting::float / 1000 AS it FROM pg_settings WHERE name = 'statement_timeout'",
        "mysql": "SELECT @@max_statement_time + 0.0 AS it",
    }["mysql" if "my" in store.kind else store.kind]
    async with limited(store, DB_STATEMENT_TIMEOUT=7.5) as client:
        for rows in await asyncio.gather(*[client.execute_query_dict(question) for _ in range(6)]):
            assert float(rows[0]["it"]) == 7.5


async def test_limit_ends_only_what_outlasts_it() -> None:
    async def limited_sleep(seconds: float, sleep: float) -> BaseException | None:
        limit, error = TaskTimeout(seconds), None
        try:
            await asyncio.sleep(sleep)
        except asyncio.CancelledError as exc:
            error = exc
        return limit.end(error)

    assert await limited_sleep(30, 0) is None
    assert isinstance(await limited_sleep(0.01, 30), TimeoutError)
    task = asyncio.create_task(limited_sleep(30, 30))
    await asyncio.sleep(0)
    task.cancel()
    assert isinstance(await task, asyncio.CancelledError)


async def test_limit_does_not_swallow_a_cancellation_at_the_same_moment() -> None:
    async def wait() -> BaseException | None:
        limit = TaskTimeout(0)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError as exc:
            return limit.end(exc)
        return None

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(task.cancel)
    ended = await task
    assert isinstance(ended, asyncio.CancelledError) == bool(task.cancelling())


async def test_cancellation_at_any_moment_of_connecting_is_not_lost(store: Store) -> None:
    """At each turn of the event loop: a driver's `wait_for` drops one that comes while it ends (Python 3.11)."""
    async with limited(store) as client:
        if not isinstance(client, PooledClient):
            pytest.skip("SQLite connects to nothing.")
        for turns in itertools.count():
            pool = Pool(client.driver(with_db=True), size=1, timeout=SLACK, idle=60)
            connecting = asyncio.create_task(pool.acquire())
            for _ in range(turns):
                await asyncio.sleep(0)
            if connecting.done():
                break
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            async with asyncio.timeout(SLACK):
                await pool.release(await pool.acquire(), SLACK)  # the one that was on its way
            await pool.close()
            assert pool._taken == 0
        await pool.release(connecting.result(), SLACK)
        await pool.close()
    assert turns > 5


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """The port of a server that accepts connections and says nothing."""
    ends: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, end: ends.append(end), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for end in ends:
            end.transport.abort()


async def test_a_silent_server_blocks_callers_no_longer_than_the_timeout(store: Store) -> None:
    """Some inherit a place at their deadline, and are cancelled at whichever turn of the loop the driver connects."""
    if store.kind == "sqlite":
        pytest.skip("SQLite connects to nothing.")
    async with limited(store) as client:
        assert isinstance(client, PooledClient)
        async with silent_server() as port:
            client.host, client.port = "127.0.0.1", port
            pool = Pool(client.driver(with_db=True), size=3, timeout=0.1, idle=60)
            for delay in range(0, 3000, 50):  # microseconds, so their deadlines meet every moment of a connect
                callers = [asyncio.create_task(pool.acquire()) for _ in range(3)]
                await asyncio.sleep(delay / 1_000_000)
                callers += [asyncio.create_task(pool.acquire()) for _ in range(3)]
                async with asyncio.timeout(SLACK):
                    ended = await asyncio.gather(*callers, return_exceptions=True)
                assert all(isinstance(error, DatabaseTimeout | DatabaseUnavailable) for error in ended), ended
            async with asyncio.timeout(SLACK):
                while pool._taken:
                    await asyncio.sleep(0.01)
            await pool.close()


async def test_cancelled_calls_leave_nothing_unretrieved(store: Store) -> None:
    """Calls cancelled while they connect, wait, ask and commit: the event loop has nothing to complain about."""
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))

    async def work(number: int) -> None:
        if number % 2:
            await Entry.all().count()
            return
        async with in_transaction():
            await Entry.filter(id=str(number)).update(id=str(number))

    async with limited(store, DB_STATEMENT_TIMEOUT=30, DB_ACQUIRE_TIMEOUT=30, DB_POOL_SIZE=5) as client:
        for delay in range(25):
            tasks = [asyncio.create_task(work(number)) for number in range(20)]
            await asyncio.sleep(delay / 2000)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await answers(client)
    gc.collect()
    assert complaints == []
