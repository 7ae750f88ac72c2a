"""Replicas on real servers: a PostgreSQL and its standby, which lags, dies and comes back."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tortoise.connection import get_connection
from tortoise.expressions import RawSQL

from sanicbase.db import Database
from sanicbase.db.errors import DatabaseError, DatabaseUnavailable
from sanicbase.db.replication.lag import STOPPED, MySQLLag, PostgresLag
from sanicbase.db.routing import start_scope
from sanicbase.errors import ResourceError
from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.shared_values import SharedValues
from sanicbase.testing.databases import ask_mysql
from tests.db.library import Author
from tests.db.opening import Store, opened
from tests.db.standby import Pair, Server, mariadb_pair, postgres_pair

standby_group = pytest.mark.xdist_group("standby")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with postgres_pair() as pair:
        yield pair


async def port() -> int:
    """The port of the server that answers a plain select."""
    ports: Any = await Author.filter(id=1).annotate(port=RawSQL("inet_server_port()")).values_list("port", flat=True)
    return int(ports[0])


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await fact():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def service(pair: Pair, **settings: Any) -> AsyncIterator[Database]:
    """A service whose replica is the standby, with a row in it, and whose own writes are forgotten."""
    store = Store("postgres", pair.primary.url)
    settings |= {"DB_REPLICAS": {"default": [pair.standby.url]}, "DB_REPLICA_MAX_LAG": 1}
    async with opened(store, "tests.db.library", **settings) as database:
        await Author.get_or_create(id=1, defaults={"name": "first"})
        start_scope()
        yield database


async def reads_from(server: Server) -> None:
    async def answered() -> bool:
        return await port() == server.port

    await until(answered)


async def replayed(pair: Pair) -> None:
    """Wait until the standby has the table and the row that the primary has."""

    async def is_replayed() -> bool:
        table = await asyncio.to_thread(pair.standby.ask, "SELECT to_regclass('author')::text")
        return bool(table and await asyncio.to_thread(pair.standby.ask, "SELECT count(*) FROM author"))

    await until(is_replayed)


@standby_group
async def test_plain_selects_go_to_the_standby_and_locking_ones_do_not(pair: Pair) -> None:
    async with service(pair):
        await replayed(pair)
        await reads_from(pair.standby)
        for locking in (Author.all().select_for_update(), Author.select_for_update().filter(id=1)):
            locked = locking.annotate(port=RawSQL("inet_server_port()"))
            (author,) = await locked
            assert author.port == pair.primary.port  # type: ignore[attr-defined]
        authors = Author.filter(id=1)
        await authors
        assert await authors.update(name="first") == 1
        assert await port() == pair.primary.port
        await Author.all().raw("UPDATE author SET name = 'first' RETURNING *")
    async with service(pair):  # it serves from the first request on
        assert await port() == pair.standby.port


@standby_group
async def test_a_standby_that_lags_is_left_out_until_it_has_caught_up(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    async with service(pair) as database:
        await replayed(pair)
        await reads_from(pair.standby)
        caplog.clear()
        await asyncio.to_thread(pair.standby.ask, "SELECT pg_wal_replay_pause()")
        await asyncio.to_thread(pair.primary.ask, "CREATE TABLE IF NOT EXISTS lag AS SELECT 1")
        await reads_from(pair.primary)
        with pytest.raises(ResourceError, match=r"default replica 1 .* more than 1 s behind"):
            await database.replicas[0].ping()
        await asyncio.to_thread(pair.standby.ask, "SELECT pg_wal_replay_resume()")
        await reads_from(pair.standby)
        await database.replicas[0].ping()
    name = f"The database default replica 1 at 127.0.0.1:{pair.standby.port}/postgres"
    assert [record.message for record in caplog.records if record.name == "sanicbase.db"] == [
        f"{name} is not used for reads: it is more than 1 s behind its primary.",
        f"{name} is used for reads again.",
    ]


@standby_group
async def test_the_lag_of_a_standby_is_a_metric(pair: Pair) -> None:
    shared = SharedValues()
    count_into(shared)

    def read(name: str) -> float:
        found = [values[0] for series, values in shared.read() if series.name == name]
        return found[0] if found else -1

    async def lags() -> bool:
        return read("sanicbase_db_replica_lag_seconds") >= 1 and read("sanicbase_db_replica_readers") == 0

    async def follows() -> bool:
        return 0 <= read("sanicbase_db_replica_lag_seconds") < 1 and read("sanicbase_db_replica_readers") == 1

    try:
        async with service(pair):
            await replayed(pair)
            await until(follows)
            await asyncio.to_thread(pair.standby.ask, "SELECT pg_wal_replay_pause()")
            await asyncio.to_thread(pair.primary.ask, "CREATE TABLE IF NOT EXISTS measured AS SELECT 1")
            await until(lags)
            await asyncio.to_thread(pair.standby.ask, "SELECT pg_wal_replay_resume()")
            await until(follows)
        (series,) = [series for series, _ in shared.read() if series.name == "sanicbase_db_replica_lag_seconds"]
        assert series.labels == (("replica", "default replica 1"),)
    finally:
        count_into(None)
        shared.close()


@standby_group
async def test_an_idle_primary_leaves_no_standby_behind(pair: Pair) -> None:
    async with service(pair) as database:
        await replayed(pair)
        await reads_from(pair.standby)
        for _ in range(8):  # longer than the limit
            await asyncio.sleep(0.25)  # what grows with time is how far behind an idle standby would be
            await database.replicas[0].ping()
        await reads_from(pair.standby)


@standby_group
async def test_a_killed_standby_costs_no_read_and_serves_again(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    stop, answers = asyncio.Event(), list[int]()

    async def reader() -> None:
        while not stop.is_set():
            answers.append(await port())

    async with service(pair) as database:
        await replayed(pair)
        await reads_from(pair.standby)
        caplog.clear()
        async with asyncio.TaskGroup() as readers:
            for _ in range(8):
                readers.create_task(reader())
            async with asyncio.timeout(30):
                while len(answers) < 50:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(pair.standby.kill)
            await reads_from(pair.primary)
            with pytest.raises(ResourceError, match=r"default replica 1 .*: no answer"):
                await database.replicas[0].ping()
            await asyncio.to_thread(pair.standby.start)
            await reads_from(pair.standby)
            stop.set()
    assert {pair.primary.port, pair.standby.port} == set(answers)
    messages = [record.message for record in caplog.records if record.name == "sanicbase.db"]
    assert len(messages) == 2
    assert f"default replica 1 at 127.0.0.1:{pair.standby.port}/postgres does not answer" in messages[0]
    assert f"default replica 1 at 127.0.0.1:{pair.standby.port}/postgres answers again" in messages[1]


@standby_group
async def test_a_frozen_standby_delays_reads_once(pair: Pair) -> None:
    async with service(pair, DB_STATEMENT_TIMEOUT=0.5, DB_ACQUIRE_TIMEOUT=1) as database:
        await replayed(pair)
        await reads_from(pair.standby)
        pair.standby.signal(signal.SIGSTOP)
        try:
            assert await asyncio.gather(*(port() for _ in range(20))) == [pair.primary.port] * 20
            assert not database.replicas[0].choose()
        finally:
            pair.standby.signal(signal.SIGCONT)
        await reads_from(pair.standby)


@standby_group
async def test_reads_succeed_while_the_primary_is_away(pair: Pair) -> None:
    async with service(pair) as database:
        await replayed(pair)
        await reads_from(pair.standby)
        await asyncio.to_thread(pair.primary.kill)
        for _ in range(3):
            await database.replicas[0].check()
            assert await port() == pair.standby.port
        with pytest.raises(DatabaseUnavailable):
            await Author.create(name="nobody takes it")
        await asyncio.to_thread(pair.primary.start)
        await Author.filter(id=1).update(name="first")
        assert await port() == pair.primary.port


@standby_group
async def test_a_standby_may_come_after_the_service(pair: Pair) -> None:
    async with service(pair):
        await replayed(pair)
    await asyncio.to_thread(pair.standby.kill)
    async with service(pair):
        assert await port() == pair.primary.port
        await asyncio.to_thread(pair.standby.start)
        await reads_from(pair.standby)


@standby_group
async def test_a_select_that_the_replay_ends_is_answered_by_the_primary(pair: Pair) -> None:
    async with service(pair):
        await replayed(pair)
        await reads_from(pair.standby)
        slow = Author.filter(id=1).annotate(port=RawSQL("inet_server_port()"), slept=RawSQL("pg_sleep(1)::text"))
        reading = asyncio.create_task(_first(slow))

        async def begun() -> bool:
            sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            return bool(await asyncio.to_thread(pair.standby.ask, sleeping))

        await until(begun)
        lock = "DO $$ BEGIN LOCK TABLE author IN ACCESS EXCLUSIVE MODE; END $$"
        await asyncio.to_thread(pair.primary.ask, lock)
        assert await reading == pair.primary.port


async def _first(query: Any) -> int:
    return int((await query)[0].port)


@standby_group
async def test_a_server_that_is_not_a_standby_is_not_read_from(pair: Pair) -> None:
    store = Store("postgres", pair.primary.url)
    async with opened(store, "tests.db.library", DB_REPLICAS={"default": [pair.primary.url]}) as database:
        with pytest.raises(ResourceError, match="it is not a standby"):
            await database.replicas[0].ping()


@pytest.mark.xdist_group("mysql")
async def test_a_mariadb_replica_is_left_out_while_its_replication_is_stopped() -> None:
    with mariadb_pair() as (primary, url, replica):
        settings: dict[str, Any] = {"DB_REPLICAS": {"default": [replica]}, "DB_REPLICA_MAX_LAG": 1}
        async with opened(Store("aiomysql", url), "tests.db.library", **settings) as database:
            await Author.create(name="first")
            start_scope()
            await answers_from("default replica 1")
            await until(has_first)
            await asyncio.to_thread(ask_mysql, replica, "STOP SLAVE SQL_THREAD")
            await answers_from("default")
            with pytest.raises(ResourceError, match=STOPPED):
                await database.replicas[0].ping()
            await asyncio.to_thread(ask_mysql, replica, "STOP SLAVE")
            await asyncio.to_thread(ask_mysql, replica, "CHANGE MASTER TO MASTER_DELAY=3")
            await Author.create(name="second")
            start_scope()
            await asyncio.to_thread(ask_mysql, replica, "START SLAVE")
            await until(lambda: has_two(replica))
            await answers_from("default replica 1")
            await asyncio.to_thread(primary.end)
            for _ in range(3):
                await database.replicas[0].check()
                assert await Author.all().count() == 2


async def has_first() -> bool:
    return await Author.exists(name="first")


async def has_two(replica: str) -> bool:
    return await asyncio.to_thread(ask_mysql, replica, "SELECT COUNT(*) FROM library.author") == 2


async def answers_from(connection: str) -> None:
    async def so() -> bool:
        return Author.all()._choose_db().connection_name == connection

    await until(so)


@pytest.mark.parametrize("store", ["aiomysql", "asyncmy"], indirect=True)
@pytest.mark.xdist_group("mysql")
async def test_a_mysql_without_replication_counts_as_current_and_is_logged_once(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(store, "tests.db.library", DB_REPLICAS={"default": [store.url]}) as database:
        await database.replicas[0].ping()
        await database.replicas[0].check()
        await Author.create(name="first")
        start_scope()
        assert Author.all()._choose_db() is get_connection("default replica 1")
        assert [author.name for author in await Author.all()] == ["first"]
    messages = [record.message for record in caplog.records if record.name == "sanicbase.db"]
    assert messages == ["The replication lag of default replica 1 is unknown (it is not a replica): no lag is assumed."]


RUNNING = {"Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes"}
NEW = {"Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes"}


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([RUNNING | {"Seconds_Behind_Master": 10}], None),
        ([NEW | {"Seconds_Behind_Source": 0}], None),
        ([RUNNING | {"Seconds_Behind_Master": 11}], "it is more than 10 s behind its primary"),
        ([NEW | {"Seconds_Behind_Source": 0}, NEW | {"Seconds_Behind_Source": 99}], "more than 10 s"),
        ([RUNNING | {"Seconds_Behind_Master": None}], STOPPED),
        ([RUNNING | {"Slave_IO_Running": "Connecting", "Seconds_Behind_Master": 0}], STOPPED),
        ([NEW | {"Replica_SQL_Running": "No", "Seconds_Behind_Source": 0}], STOPPED),
        ([], None),
    ],
)
async def test_replication_status_of_mysql(rows: list[dict[str, Any]], fault: str | None) -> None:
    async def ask(statement: str) -> list[dict[str, Any]]:
        if statement == "SHOW REPLICA STATUS" and "Slave_IO_Running" in (rows or [{}])[0]:
            raise DatabaseError("You have an error in your SQL syntax")
        return rows

    reported = await MySQLLag(10).fault("replica", ask)
    assert (fault is None) == (reported is None)
    assert fault is None or (reported is not None and fault in reported)


async def test_a_server_that_does_not_report_its_lag_counts_as_current(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(statement: str) -> list[dict[str, Any]]:
        raise DatabaseError("permission denied")

    for lag in (MySQLLag(10), PostgresLag(10)):
        assert await lag.fault("replica", refuse) is None
        assert await lag.fault("replica", refuse) is None
    with caplog.at_level(logging.WARNING):
        assert len([record for record in caplog.records if "permission denied" in record.message]) == 2
