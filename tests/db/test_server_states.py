"""What servers answer when they cannot do their work, provoked on real ones, and that all is well again by itself."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from sanicbase.db import Database
from sanicbase.db.engine.statements import EngineClient
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable, State
from tests.db.fragile import Fragile
from tests.db.ledger import Entry
from tests.db.opening import Store, library_config, opened

MANY = 200_000  # locks, more than any server's table of them holds


@pytest.fixture
async def client(fragile: Fragile) -> AsyncIterator[EngineClient]:
    async with opened(fragile.store, "tests.db.ledger", DB_STATEMENT_TIMEOUT=30, DB_POOL_SIZE=2):
        client = get_connection("default")
        assert isinstance(client, EngineClient)
        yield client


async def refused(call: Awaitable[object]) -> State:
    """The state that a call is refused for."""
    with pytest.raises(DatabaseUnavailable) as excinfo:
        await call
    return excinfo.value.state


async def session(client: EngineClient) -> int:
    """The number of the session that the next statement has."""
    postgres = client.capabilities.dialect == "postgres"
    rows = await client.execute_query_dict(f"SELECT {'pg_backend_pid()' if postgres else 'connection_id()'} AS id")
    return int(rows[0]["id"])


async def interrupted(fragile: Fragile, client: EngineClient, *, whole: bool) -> None:
    """Have the administrator end a statement, or its session."""
    entry = await Entry.create(id="locked")
    async with in_transaction() as holder:
        await holder.execute_query(f"UPDATE entry SET text = 'x' WHERE id = '{entry.id}'")
        number = await asyncio.create_task(_outside(client))
        waiting = asyncio.create_task(_write_outside(client))
        await _until_it_waits(fragile, number)
        if fragile.store.kind == "postgres":
            fragile.ask(f"SELECT {'pg_terminate_backend' if whole else 'pg_cancel_backend'}({number})")
        else:
            fragile.ask(f"KILL {'CONNECTION' if whole else 'QUERY'} {number}")
        await waiting


async def _outside(client: EngineClient) -> int:
    return await session(client)


async def _write_outside(client: EngineClient) -> None:
    await client.execute_query("UPDATE entry SET text = 'y' WHERE id = 'locked'")


async def _until_it_waits(fragile: Fragile, number: int) -> None:
    postgres = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = "
    mysql = (
        "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = "
    )
    async with asyncio.timeout(10):
        while not fragile.ask(f"{postgres if fragile.store.kind == 'postgres' else mysql}{number}"):
            await asyncio.sleep(0.2)  # InnoDB tells nothing new to those who ask sooner


async def test_a_statement_that_an_administrator_ends_is_a_timeout(fragile: Fragile, client: EngineClient) -> None:
    with pytest.raises(DatabaseTimeout):
        await interrupted(fragile, client, whole=False)
    assert await Entry.filter(id="locked").update(text="z") == 1


async def test_a_session_that_an_administrator_ends_was_away(fragile: Fragile, client: EngineClient) -> None:
    assert await refused(interrupted(fragile, client, whole=True)) == "away"
    assert await Entry.filter(id="locked").update(text="z") == 1


async def test_a_read_only_server_is_reconnected(
    fragile: Fragile, client: EngineClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sanicbase.db")
    postgres = fragile.store.kind == "postgres"
    before = await session(client)
    if postgres:
        assert await refused(_write_read_only()) == "read_only"
    else:
        await client.execute_query("SET SESSION tx_read_only = 1")
        assert await refused(Entry.create(id="one")) == "read_only"
    assert await session(client) != before
    assert "is read-only" in caplog.text
    assert "takes writes again" not in caplog.text, "a select proves nothing"
    await Entry.create(id="two")
    assert "takes writes again" in caplog.text
    assert await Entry.all().count() == 1


async def _write_read_only() -> None:
    async with in_transaction() as connection:
        await connection.execute_query("SET TRANSACTION READ ONLY")
        await Entry.create(id="one")


async def test_a_server_without_resources_says_so(fragile: Fragile, client: EngineClient) -> None:
    if fragile.store.kind == "postgres":
        locks = f"SELECT count(pg_advisory_lock(n)) FROM generate_series(1, {MANY}) AS n"
        assert await refused(client.execute_query(locks)) == "exhausted"
    else:
        await client.execute_script("CREATE TABLE small (text CHAR(250)) ENGINE = MEMORY MAX_ROWS = 1")
        await client.execute_query("SET SESSION max_heap_table_size = 16384")
        await client.execute_script("DROP TABLE small; CREATE TABLE small (text CHAR(250)) ENGINE = MEMORY")
        rows = "INSERT INTO small SELECT 'x' FROM information_schema.columns"
        assert await refused(client.execute_query(rows)) == "full"
    await Entry.create(id="one")


async def test_a_database_that_is_dropped_and_made_again(fragile: Fragile, client: EngineClient) -> None:
    name = fragile.store.url.rpartition("/")[2]
    fragile.ask(f"DROP DATABASE {name}{' WITH (FORCE)' if fragile.store.kind == 'postgres' else ''}")
    await client.close()  # a session of MySQL's that had it would say that there is no such table
    for _ in range(2):
        assert await refused(Entry.all().count()) == "refusing"
    fragile.ask(f"CREATE DATABASE {name}")
    await Tortoise.generate_schemas()
    await Entry.create(id="one")


async def test_a_row_locked_by_another_transaction_is_a_timeout_for_nowait(
    fragile: Fragile, client: EngineClient
) -> None:
    await Entry.create(id="locked")
    async with in_transaction() as holder:
        await holder.execute_query("UPDATE entry SET text = 'x' WHERE id = 'locked'")
        with pytest.raises(DatabaseTimeout):
            await asyncio.create_task(_look(client, "SELECT id FROM entry WHERE id = 'locked' FOR UPDATE NOWAIT"))


async def _look(client: EngineClient, statement: str) -> None:
    await client.execute_query(statement)


async def _in_transaction(text: str) -> None:
    async with in_transaction():
        await Entry.create(id="large", text=text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "library.sqlite3"


async def test_a_sqlite_that_may_not_grow_is_full(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sanicbase.db")
    file.parent.mkdir()
    async with opened(Store("sqlite", f"sqlite://{file}"), "tests.db.ledger"):
        client = get_connection("default")
        await client.execute_query("PRAGMA max_page_count = 1")  # which is at least what there is
        text = "x" * 100_000
        for _ in range(2):
            assert await refused(Entry.create(id="large", text=text)) == "full"
            assert await refused(_in_transaction(text)) == "full"
        await client.execute_query("PRAGMA max_page_count = 100000")
        await Entry.create(id="large", text=text)
    assert [record.getMessage().count("has no space left") for record in caplog.records] == [1, 0]


async def test_a_read_only_sqlite_is_reopened(file: Path) -> None:
    file.parent.mkdir()
    async with opened(Store("sqlite", f"sqlite://{file}"), "tests.db.ledger"):
        await get_connection("default").execute_query("PRAGMA query_only = ON")  # of this connection
        assert await refused(Entry.create(id="one")) == "read_only"
        await Entry.create(id="two")
        assert await Entry.all().count() == 1


async def test_a_sqlite_that_cannot_be_opened_is_away_until_it_can(file: Path) -> None:
    config = library_config(Store("sqlite", f"sqlite://{file}"), "tests.db.ledger")
    async with Database(config, connect=False):
        for _ in range(2):
            assert await refused(Entry.all().count()) == "away"
        file.parent.mkdir()
        await Tortoise.generate_schemas()
        await Entry.create(id="one")


async def test_a_file_that_is_no_database_is_an_error_until_it_is_replaced(file: Path) -> None:
    file.parent.mkdir()
    store = Store("sqlite", f"sqlite://{file}")
    async with opened(store, "tests.db.ledger"):
        await Entry.create(id="one")
    sound = file.with_suffix(".sound")
    shutil.copy(file, sound)
    await asyncio.to_thread(file.write_text, "This is no database. " * 1000)
    async with Database(library_config(store, "tests.db.ledger"), connect=False):
        with pytest.raises(DatabaseError) as excinfo:
            await Entry.all().count()
        assert type(excinfo.value) is DatabaseError
        sound.replace(file)
        assert await Entry.all().count() == 1
