"""What one user of a PostgreSQL connection changes in its session, the next one does not see; plain statements reset
nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tortoise.connection import get_connection
from tortoise.expressions import RawSQL
from tortoise.functions import Count, Lower, Max
from tortoise.transactions import in_transaction

from sanicbase.db.engine import session_state
from sanicbase.db.engine.postgres import _Driver
from sanicbase.db.engine.session_state import TrackedConnection, is_plain
from sanicbase.db.pagination.totals import estimated_total
from tests.db.every import Every
from tests.db.opening import Store, opened

pytestmark = pytest.mark.xdist_group("postgres")

Act = Callable[[Any], Awaitable[object]]

STATE = """SELECT current_setting('timezone') AS timezone, current_setting('work_mem') AS work_mem,
    coalesce(current_setting('my.mark', true), '') AS mark, current_user::text AS account,
    current_setting('transaction_isolation') AS isolation, current_setting('search_path') AS path,
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks,
    (SELECT count(*) FROM pg_listening_channels()) AS channels,
    (SELECT count(*) FROM pg_prepared_statements WHERE from_sql) AS statements,
    (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS cursors,
    (SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r') AS tables"""


def executes(statement: str) -> Act:
    return lambda client: client.execute_query(statement)


def runs(*statements: str) -> Act:
    """On the connection of the driver itself."""

    async def act(client: Any) -> None:
        async with client.acquire_connection() as connection:
            for statement in statements:
                await connection.execute(statement)

    return act


async def in_a_committed_transaction(client: Any) -> None:
    async with in_transaction() as connection:
        await connection.execute_query("SET work_mem = '77MB'")
        await Every.create(number=1)


async def in_a_rolled_back_transaction(client: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        async with in_transaction() as connection:
            await connection.execute_query("SELECT pg_advisory_lock(7)")  # not undone by a rollback
            raise ZeroDivisionError


async def in_an_annotation(client: Any) -> None:
    await Every.all().annotate(mark=RawSQL("set_config('my.mark', 'left', false)")).values("mark")


async def in_a_filter(client: Any) -> None:
    await Every.annotate(lock=RawSQL("pg_try_advisory_lock(8)")).filter(lock=True).count()


async def by_a_listener(client: Any) -> None:
    async with client.acquire_connection() as connection:
        await connection.add_listener("news", lambda *_: None)


async def by_keywords(client: Any) -> None:
    async with client.acquire_connection() as connection:
        assert await connection.fetchval(query="SELECT 1") == 1
        await connection.execute(query="SET work_mem = '79MB'")


async def by_a_prepared_statement(client: Any) -> None:
    async with client.acquire_connection() as connection:
        await (await connection.prepare("SELECT set_config('my.mark', $1, false)")).fetch("left")


async def with_an_error_afterwards(client: Any) -> None:
    with pytest.raises(Exception, match="does not fit"):
        async with client.acquire_connection() as connection:
            await connection.execute("SET work_mem = '78MB'")
            await connection.execute("SELECT 1/0")


CHANGES: dict[str, Act] = {
    "set": executes("SET timezone = 'Asia/Tokyo'"),
    "set in a script": lambda client: client.execute_script("SELECT 1;\nSET work_mem = '76MB'"),
    "set session characteristics": executes("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
    "set role": executes("SET ROLE pg_monitor"),
    "set session authorization": executes("SET SESSION AUTHORIZATION pg_monitor"),
    "set_config": executes("SELECT set_config('my.mark', 'left', false)"),
    "set_config in an update": executes("UPDATE every SET text = set_config('my.mark', 'left', false)"),
    "set_config with a quoted name": executes("SELECT \"set_config\" ('my.mark', 'left', false)"),
    "set_config of a schema": executes("SELECT pg_catalog.set_config('my.mark', 'left', false)"),
    "set_config with an escaped name": executes("SELECT U&\"set!005fconfig\" UESCAPE '!' ('my.mark', 'left', false)"),
    "set_config after a comment": executes("SELECT set_config/**/('my.mark', 'left', false)"),
    "set_config in a common table expression": executes(
        "WITH marks AS (SELECT set_config('my.mark', 'left', false)) SELECT * FROM marks"
    ),
    "search path": executes("SET search_path = pg_temp, public"),
    "advisory lock": executes("SELECT pg_advisory_lock(5)"),
    "listen": executes("LISTEN news"),
    "prepare": executes("PREPARE mine AS SELECT 1"),
    "holdable cursor": runs("BEGIN", "DECLARE mine CURSOR WITH HOLD FOR SELECT 1", "COMMIT"),
    "temporary table": executes("CREATE TEMPORARY TABLE mine (id int)"),
    "select into": executes("SELECT 1 AS id INTO TEMPORARY mine"),
    "do": executes("DO $$ BEGIN PERFORM set_config('my.mark', 'left', false); END $$"),
    "open transaction": runs("BEGIN ISOLATION LEVEL SERIALIZABLE"),
    "open transaction of the driver": runs("BEGIN ISOLATION LEVEL SERIALIZABLE", "SAVEPOINT mine"),
    "committed transaction": in_a_committed_transaction,
    "rolled back transaction": in_a_rolled_back_transaction,
    "annotation": in_an_annotation,
    "filter": in_a_filter,
    "listener": by_a_listener,
    "keywords": by_keywords,
    "prepared statement": by_a_prepared_statement,
    "error": with_an_error_afterwards,
}

PLAIN: dict[str, Act] = {
    "read": lambda client: Every.get_or_none(id=100),
    "filter": lambda client: Every.filter(text__icontains="a", number__in=[1, 2]).order_by("-id").limit(3),
    "json": lambda client: Every.filter(data__contains={"a": 1}),
    "aggregate": lambda client: Every.annotate(n=Count("id"), top=Max("number")).group_by("flag").values("n", "top"),
    "function": lambda client: Every.annotate(low=Lower("text")).filter(low="a").exists(),
    "create": lambda client: Every.create(number=2, text="it's; -- $$"),
    "update": lambda client: Every.filter(id=100).update(number=3),
    "delete": lambda client: Every.filter(id=2).delete(),
    "bulk create": lambda client: Every.bulk_create([Every(number=4), Every(number=5)]),
    "upsert": lambda client: Every.upsert({"id": 100, "number": 6}, on=["id"]),
    "raw": lambda client: Every.raw("SELECT * FROM every WHERE id > 0"),
    "estimate": lambda client: estimated_total(Every.filter(number__gt=1)),
}


@pytest.fixture
async def client(postgres_url: str) -> AsyncIterator[Any]:
    """A client with one connection, so that the next statement has the session of the last one."""
    async with opened(Store("postgres", postgres_url), "tests.db.every", DB_POOL_SIZE=1):
        await Every.create(id=100, number=1, text="a", data={"a": 1})
        yield get_connection("default")


async def session(client: Any) -> tuple[int, dict[str, Any]]:
    async with client.acquire_connection() as connection:
        return connection.get_server_pid(), dict(await connection.fetchrow(STATE))


@pytest.mark.parametrize("name", CHANGES)
async def test_next_user_of_a_connection_sees_no_change_of_its_session(client: Any, name: str) -> None:
    before = await session(client)
    await CHANGES[name](client)
    assert await session(client) == before  # of the same server process


@pytest.mark.parametrize("name", CHANGES)
async def test_without_the_reset_each_change_would_be_seen(
    client: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(self: _Driver, connection: Any, limit: float | None) -> None:
        pass

    before = await session(client)
    with monkeypatch.context() as patch:
        patch.setattr(_Driver, "reset", nothing)
        await CHANGES[name](client)
        leaked = await session(client)
    assert leaked[0] == before[0]
    assert leaked[1] != before[1]


@pytest.mark.parametrize("name", PLAIN)
async def test_plain_statements_reset_nothing(client: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await Every.all()
    resets: list[object] = []
    reset = TrackedConnection.reset

    async def counting(self: Any, **options: Any) -> None:
        resets.append(self)
        await reset(self, **options)

    monkeypatch.setattr(TrackedConnection, "reset", counting)
    await PLAIN[name](client)
    async with in_transaction():
        await PLAIN[name](client)
    assert not resets
    await client.execute_query("SHOW timezone")
    assert len(resets) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT f(1)",
        "SELECT mine.lower('a')",
        'SELECT "mine" . lower (1)',
        "SELECT lower\u00a0('a')",
        "SELECT 1;\nSET x = 1",
        "SELECT lower('a') INTO mine",
        "INSERT INTO \"t\" (SELECT set_config('a', 'b', false))",
        'INSERT INTO "t" ("a") VALUES (f(1))',
        "UPDATE t SET a = lower(f(1))",
        "DELETE FROM t USING f (1)",
        "SELECT 1 OPERATOR(mine.+) 2",
        "SELECT 'a\\' , f(1), '",
        "SELECT $a$ $a$",
        "SELECT E'\\'' || f(1)",
        "COMMIT AND CHAIN",
        "BEGIN; SET x = 1",
        "EXPLAIN ANALYZE SELECT f(1)",
        "VACUUM",
        "SELECT " + "1," * 5000 + "1",
    ],
)
def test_statements_that_may_change_a_session_are_not_plain(statement: str) -> None:
    assert not is_plain(statement)


WORDS = st.sampled_from(
    [
        "SELECT",
        "set_config",
        "(",
        ")",
        "'",
        '"',
        "''",
        '"a"',
        "'b'",
        ".",
        ",",
        " ",
        "\n",
        "lower",
        "INTO",
        "U&",
        "E",
        "$1",
    ]
)


@given(st.lists(WORDS, max_size=30).map("".join))
def test_call_of_another_function_is_plain_only_inside_quotes(text: str) -> None:
    statement = f"SELECT {text}"
    unquoted, quote, place = [], "", 0
    while place < len(statement):  # as PostgreSQL's scanner reads it
        character = statement[place]
        if not quote and character in "'\"":
            quote = character
        elif quote == character:
            if statement[place + 1 : place + 2] == quote:
                place += 1
            else:
                quote = ""
        elif not quote:
            unquoted.append(character)
        place += 1
    if not quote and "set_config(" in "".join(unquoted).replace("\n", "").replace(" ", ""):
        assert not is_plain(statement)


def test_methods_of_the_driver_that_are_not_known_to_be_neutral_count_as_changes() -> None:
    methods = {
        name for name, method in vars(asyncpg.Connection).items() if callable(method) and not name.startswith("_")
    }
    assert methods >= session_state.NEUTRAL | session_state.STATEMENTS
    for name in methods - session_state.NEUTRAL:
        assert getattr(TrackedConnection, name) is not getattr(asyncpg.Connection, name)
