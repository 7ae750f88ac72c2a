"""Whatever a driver raises has one name, the same for every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tortoise import exceptions
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from sanicbase.db.engine.translation import is_missing_table
from sanicbase.db.errors import (
    DatabaseError,
    DatabaseTimeout,
    DeadlockError,
    IntegrityError,
    SerializationError,
)
from sanicbase.errors import InvalidValue
from tests.db.ledger import Account, Entry, Owner
from tests.db.opening import Store, opened

FAR = 2**70


@pytest.fixture
async def database(store: Store) -> AsyncIterator[BaseDBAsyncClient]:
    async with opened(store, "tests.db.ledger", DB_STATEMENT_TIMEOUT=5):
        yield get_connection("default")


async def sql(client: BaseDBAsyncClient, statement: str) -> None:
    quote = "`" if client.capabilities.dialect == "mysql" else '"'
    await client.execute_query(statement.replace('"', quote))


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in_transaction"])
@pytest.mark.parametrize("model", ["Owner", "Account", "Entry"])
async def test_a_value_that_is_taken_names_its_columns(database: BaseDBAsyncClient, model: str, inside: bool) -> None:
    async def twice() -> None:
        owner = await Owner.create(id=1, email="a@b")
        if model == "Owner":
            await Owner.create(id=2, email="a@b")
        for _ in range(2):
            await (Account.create(owner=owner, kind="k") if model == "Account" else Entry.create(id="one"))

    async def all_of_it() -> None:
        async with in_transaction():
            await twice()

    with pytest.raises(IntegrityError) as excinfo:
        await (all_of_it() if inside else twice())
    primary = model == "Entry" and database.capabilities.dialect == "mysql"  # which says no more than PRIMARY
    assert excinfo.value.columns == {
        "Owner": ("email",), "Account": ("owner_id", "kind"), "Entry": () if primary else ("id",)
    }[model]  # fmt: skip
    assert isinstance(excinfo.value, exceptions.IntegrityError)
    assert excinfo.value.__cause__ is not None
    assert bool(excinfo.value.constraint) == (database.capabilities.dialect != "sqlite")
    assert await Owner.all().count() == (0 if inside else 1)


async def test_a_row_that_points_nowhere_is_an_integrity_error(database: BaseDBAsyncClient) -> None:
    with pytest.raises(IntegrityError) as excinfo:
        await Account.create(owner_id=7, kind="k")
    assert excinfo.value.columns == (() if database.capabilities.dialect == "sqlite" else ("owner_id",))


async def test_a_missing_value_names_its_column(database: BaseDBAsyncClient) -> None:
    for statement in (
        'INSERT INTO "owner" (id, email) VALUES (1, NULL)',
        'INSERT INTO "owner" (id) VALUES (1)',
    ):
        with pytest.raises(IntegrityError) as excinfo:
            await sql(database, statement)
        assert excinfo.value.columns == ("email",)


async def test_an_invalid_value_is_reported_without_quoting_it(database: BaseDBAsyncClient) -> None:
    async def mistake(statement: str) -> InvalidValue:
        with pytest.raises(InvalidValue) as excinfo:
            await sql(database, statement)
        assert "secret" not in str(excinfo.value)
        return excinfo.value

    if database.capabilities.dialect == "sqlite":  # it takes nearly everything
        assert (await mistake("INSERT INTO \"owner\" (id, email) VALUES ('secret', 'a')")).code == "invalid_value"
        return
    long = await mistake("INSERT INTO \"owner\" (id, email) VALUES (1, 'secretsecret')")
    far = await mistake(f"INSERT INTO \"account\" (id, owner_id, kind, n) VALUES (1, 1, 'k', {2**40})")
    day = await mistake("INSERT INTO \"account\" (id, owner_id, kind, n, day) VALUES (1, 1, 'k', 0, 'secret')")
    assert (long.code, far.code, day.code) == ("too_long", "out_of_range", "invalid_datetime")
    if database.capabilities.dialect == "mysql":
        assert (long.path, far.path, day.path) == ("email", "n", "day")


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in_transaction"])
@pytest.mark.parametrize("code", ["invalid_text", "out_of_range"])
async def test_unencodable_values_are_invalid(database: BaseDBAsyncClient, code: str, inside: bool) -> None:
    if code == "out_of_range" and database.capabilities.dialect == "mysql":
        pytest.skip("MySQL compares with numbers of any size.")

    async def attempt() -> None:
        await Entry.create(id="fine")
        if code == "invalid_text":
            await Entry.filter(text="lone \ud800 surrogate").count()
        await Account.filter(n__gt=FAR).count()

    async def all_of_it() -> None:
        async with in_transaction():
            await attempt()

    with pytest.raises(InvalidValue) as excinfo:
        await (all_of_it() if inside else attempt())
    assert excinfo.value.code == code
    assert await Entry.all().count() == (0 if inside else 1)


async def test_everything_else_is_a_database_error(database: BaseDBAsyncClient) -> None:
    for statement in ("SELEC 1", "SELECT nothing FROM entry"):
        for run in (database.execute_query, database.execute_query_dict, database.execute_script):
            with pytest.raises(DatabaseError) as excinfo:
                await run(statement)
            assert type(excinfo.value) is DatabaseError
            assert isinstance(excinfo.value, exceptions.OperationalError)
            assert not is_missing_table(excinfo.value)
    with pytest.raises(DatabaseError):
        await database.execute_many("SELEC 1", [[]])
    with pytest.raises(DatabaseError):
        await database.execute_insert("SELEC 1", [])
    with pytest.raises(DatabaseError) as excinfo:
        await database.execute_query("SELECT 1 FROM no_such_table")
    assert is_missing_table(excinfo.value)


async def test_bulk_that_fails_leaves_nothing_behind(database: BaseDBAsyncClient) -> None:
    with pytest.raises(IntegrityError):
        await Entry.bulk_create([Entry(id="one"), Entry(id="two"), Entry(id="one")])
    assert await Entry.all().count() == 0
    async with in_transaction():
        await Entry.create(id="three")
        with pytest.raises(IntegrityError):
            async with in_transaction():
                await Entry.bulk_create([Entry(id="one"), Entry(id="one")])
    assert [entry.id for entry in await Entry.all()] == ["three"]


async def test_an_error_that_was_caught_never_makes_a_commit_a_lie(database: BaseDBAsyncClient) -> None:
    async def write() -> None:
        async with in_transaction():
            await Entry.create(id="one")
            with pytest.raises(IntegrityError):
                await Entry.create(id="one")

    if database.capabilities.dialect == "postgres":
        with pytest.raises(DatabaseError, match="PostgreSQL commits nothing"):
            await write()
        assert await Entry.all().count() == 0
    else:
        await write()
        assert await Entry.all().count() == 1


async def test_transaction_that_is_over_takes_no_more_statements(database: BaseDBAsyncClient) -> None:
    over = asyncio.Event()

    async def late() -> None:
        await over.wait()
        await Entry.create(id="late")

    async with in_transaction() as connection:
        task = asyncio.create_task(late())
        await asyncio.sleep(0)
    over.set()
    with pytest.raises(DatabaseError, match="This transaction has ended"):
        await task
    with pytest.raises(DatabaseError, match="This transaction has ended"):
        await connection.execute_query("SELECT 1")
    assert await Entry.all().count() == 0


async def _two_owners() -> None:
    for number in (1, 2):
        await Owner.create(id=number, email=str(number))


async def test_a_deadlock_has_its_own_error(store: Store, database: BaseDBAsyncClient) -> None:
    if store.kind == "sqlite":
        pytest.skip("SQLite has one writer at a time.")
    await _two_owners()
    both = asyncio.Barrier(2)

    async def swap(first: int, second: int) -> None:
        async with in_transaction():
            await Owner.filter(id=first).update(email=f"{first}x")
            await both.wait()
            await Owner.filter(id=second).update(email=f"{second}y")

    results = await asyncio.gather(swap(1, 2), swap(2, 1), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["DeadlockError", "NoneType"]
    assert any(isinstance(result, DeadlockError) for result in results)


async def test_a_transaction_that_deadlocked_is_not_continued(store: Store, database: BaseDBAsyncClient) -> None:
    if store.kind == "sqlite":
        pytest.skip("SQLite has one writer at a time.")
    await _two_owners()
    both = asyncio.Barrier(2)

    async def swap(first: int, second: int) -> None:
        async with in_transaction():
            await Owner.filter(id=first).update(email=f"{first}x")
            await both.wait()
            try:
                await Owner.filter(id=second).update(email=f"{second}y")
            except DeadlockError:
                await Entry.create(id="half")  # what would be written on its own

    results = await asyncio.gather(swap(1, 2), swap(2, 1), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["DeadlockError", "NoneType"]
    assert await Entry.all().count() == 0


async def test_a_snapshot_that_is_too_old_is_a_serialization_error(store: Store, database: BaseDBAsyncClient) -> None:
    if store.kind == "sqlite":
        pytest.skip("A transaction of SQLite begins as a writer.")
    await _two_owners()
    level = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
    if store.kind != "postgres":
        level = "SET innodb_snapshot_isolation = ON"  # MariaDB's; else it overwrites

    async def update() -> None:
        async with in_transaction() as connection:
            await connection.execute_query(level)
            await Owner.all().count()
            await asyncio.create_task(_elsewhere(connection))
            await Owner.filter(id=1).update(email="mine")

    try:
        with pytest.raises(SerializationError):
            await update()
    except DatabaseError as exc:
        if "innodb_snapshot_isolation" in str(exc):
            pytest.skip("This server cannot be asked for it.")
        raise
    assert (await Owner.get(id=1)).email == "theirs"


async def _elsewhere(connection: BaseDBAsyncClient) -> None:
    await connection._parent.execute_query("UPDATE owner SET email = 'theirs' WHERE id = 1")


async def test_a_lock_that_is_held_too_long_is_a_timeout(store: Store) -> None:
    async with opened(store, "tests.db.ledger", DB_STATEMENT_TIMEOUT=1):
        await _two_owners()
        client = get_connection("default")

        async def wait_for_oneself() -> None:
            async with asyncio.timeout(10), in_transaction():
                await Owner.filter(id=1).update(email="mine")
                await client.execute_query("UPDATE owner SET email = 'theirs' WHERE id = 1")

        with pytest.raises(DatabaseTimeout):
            await wait_for_oneself()
        assert (await Owner.get(id=1)).email == "1"
