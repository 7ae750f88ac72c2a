"""Statements are counted by kind and time, slow ones are logged, and repeated ones are named with their line."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterator

import pytest
from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from sanicbase.db.engine.watching import kind_of, shape_of
from sanicbase.db.errors import RepeatedStatements
from sanicbase.db.routing import start_scope
from sanicbase.log import set_log_context
from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.shared_values import SharedValues
from tests.db.library import Author
from tests.db.opening import Store, opened

SECRET = "correct-horse-battery"


@pytest.fixture
def shared() -> Iterator[SharedValues]:
    """The values that this process counts into."""
    shared = SharedValues()
    count_into(shared)
    yield shared
    count_into(None)
    shared.close()


@pytest.fixture
def request_id() -> Iterator[str]:
    """The id of a request that the test is in the middle of."""
    set_log_context(request_id="abc")
    yield "abc"
    set_log_context(request_id="")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "sanicbase.db")
    return caplog


def statements(shared: SharedValues) -> dict[str, float]:
    """How many statements of each kind were executed."""
    return {
        dict(series.labels)["kind"]: sum(values[:-1])
        for series, values in shared.read()
        if series.name == "sanicbase_db_statement_seconds"
    }


async def test_each_statement_is_counted_once(store: Store, shared: SharedValues) -> None:
    async with opened(store, "tests.db.library"):
        before = statements(shared)
        await Author.create(name="Ursula")
        await Author.bulk_create([Author(name="Stanisław"), Author(name="Octavia")])
        assert await Author.all().count() == 3
        await get_connection("default").execute_query_dict("SELECT name FROM author")
        async with in_transaction():
            await Author.filter(name="Ursula").update(name="U. K. Le Guin")
            await Author.filter(name="Octavia").delete()
        after = statements(shared)
    counted = {kind: count - before.get(kind, 0) for kind, count in after.items() if count > before.get(kind, 0)}
    assert counted == {"insert": 2, "select": 2, "update": 1, "delete": 1}


async def test_a_pool_has_gauges(store: Store, shared: SharedValues) -> None:
    if store.kind == "sqlite":
        pytest.skip("SQLite has one connection and no pool.")
    entered, leave = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with in_transaction():
            entered.set()
            await leave.wait()

    async with opened(store, "tests.db.library") as database, asyncio.TaskGroup() as group:
        group.create_task(hold())
        await entered.wait()
        database._set_gauges()
        leave.set()
        values = {(series.name, series.labels): value for series, (value, *_) in shared.read()}
        in_use = (("database", "default"), ("state", "in_use"))
        assert values["sanicbase_db_pool_connections", in_use] == 1
        assert values["sanicbase_db_pool_waiting", (("database", "default"),)] == 0


async def test_a_slow_statement_is_logged_without_values(store: Store, log: pytest.LogCaptureFixture) -> None:
    async with opened(store, "tests.db.library", DB_SLOW_STATEMENT=1e-9):
        log.clear()
        await Author.filter(name=SECRET)
        await get_connection("default").execute_query(f"SELECT id FROM author WHERE name = '{SECRET}' AND id < 1234")
    assert "A statement of the database default took" in log.text
    assert "name = ? AND id < ?" in log.text
    assert SECRET not in log.text
    assert "1234" not in log.text


async def test_a_repeated_statement_is_named_once_with_its_line(
    store: Store, request_id: str, log: pytest.LogCaptureFixture
) -> None:
    async with opened(store, "tests.db.library", DB_REPEATED_STATEMENTS=3):
        start_scope()
        for number in range(10):
            await Author.filter(name=str(number))
            line = _line() - 1
    named = [message for message in log.messages if "same statement" in message]
    assert len(named) == 1
    assert f"{__file__}:{line}" in named[0]
    assert "more than 3 times" in named[0]


async def test_a_repeated_statement_fails_by_option(store: Store, request_id: str) -> None:
    async with opened(store, "tests.db.library", DB_REPEATED_STATEMENTS=3, DB_REPEATED_STATEMENTS_FAIL=True):
        start_scope()
        for number in range(3):
            await Author.filter(id=number)
        with pytest.raises(RepeatedStatements, match="prefetch_related"):
            await Author.filter(id=4)


async def test_the_messages_of_a_websocket_are_counted_one_by_one(
    postgres_url: str, request_id: str, log: pytest.LogCaptureFixture
) -> None:
    async with opened(Store("postgres", postgres_url), "tests.db.library", DB_REPEATED_STATEMENTS=3):
        for number in range(10):
            start_scope()  # as the view does for each message
            await Author.filter(name=str(number))
    assert "same statement" not in log.text


@pytest.mark.parametrize("settings", [{"DB_REPEATED_STATEMENTS": 0}, {"DB_REPEATED_STATEMENTS": 3, "ENV": "prod"}])
async def test_repetitions_are_not_counted_in_prod(
    settings: dict[str, str | int], postgres_url: str, request_id: str, log: pytest.LogCaptureFixture
) -> None:
    store = Store("postgres", postgres_url)
    async with opened(store, "tests.db.library", REDIS_URL="redis://127.0.0.1:1", **settings):
        start_scope()
        for number in range(5):
            await Author.filter(id=number)
    assert "same statement" not in log.text


async def test_a_script_may_repeat_statements(postgres_url: str, log: pytest.LogCaptureFixture) -> None:
    async with opened(Store("postgres", postgres_url), "tests.db.library", DB_REPEATED_STATEMENTS=3):
        start_scope()
        for number in range(5):
            await Author.filter(id=number)
    assert "same statement" not in log.text


@pytest.mark.parametrize(("one", "other"), [
    ("SELECT * FROM a WHERE id IN (1,2,3)", "SELECT * FROM a WHERE id IN (4, 5)"),
    ("INSERT INTO a VALUES (?,?),(?,?)", "INSERT INTO a VALUES (?,?)"),
    ("SELECT 'it''s'", "SELECT 'x'"),
    ("SELECT * FROM a WHERE b = $1", "SELECT * FROM a WHERE b = $2"),
    ("SELECT * FROM a WHERE b = %s", "SELECT * FROM a WHERE b = 3.5"),
])  # fmt: skip
def test_statements_of_one_shape(one: str, other: str) -> None:
    assert shape_of(one) == shape_of(other)


def test_names_are_no_values() -> None:
    assert shape_of("SELECT a1, t2.b FROM t2") == "SELECT a1, t2.b FROM t2"


@pytest.mark.parametrize(("query", "kind"), [
    (" (SELECT 1)", "select"), ("insert into a", "insert"), ("WITH x AS (SELECT 1) SELECT 1", "with"), ("", "other"),
    ("DROP TABLE a", "other"),
])  # fmt: skip
def test_kinds_of_queries(query: str, kind: str) -> None:
    assert kind_of(query) == kind


def _line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno
