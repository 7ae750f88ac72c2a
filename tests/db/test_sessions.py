"""Every connection of the pool speaks of times in UTC and of text in full Unicode, wherever the server stands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from sanicbase.testing.databases import ask_mysql, ask_postgres
from tests.db.ledger import Entry
from tests.db.opening import Store, opened

CONNECTIONS = 4
MOMENT = datetime(2026, 3, 29, 1, 30, 15, 123456, tzinfo=UTC)  # in no hour at all of some zones
TEXT = "𝄞 龍 🐉 \u200d é e\u0301 \\ ' \" % %s"


@pytest.fixture
def server_elsewhere(store: Store) -> Iterator[Store]:
    """The server, whose own zone is far from UTC."""
    if store.kind == "postgres":
        name = store.url.rpartition("/")[2]
        ask_postgres(store.url, f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Kathmandu'")
        assert ask_postgres(store.url, "SHOW timezone") == "Asia/Kathmandu"
    elif store.kind != "sqlite":
        before = ask_mysql(store.url, "SELECT @@global.time_zone")
        ask_mysql(store.url, "SET GLOBAL time_zone = '+05:45'")
        yield store
        ask_mysql(store.url, f"SET GLOBAL time_zone = '{before}'")
        return
    yield store


async def on_every_connection(number: int, together: asyncio.Barrier) -> None:
    async with in_transaction() as connection:
        await together.wait()
        await Entry.create(id=f"e{number}", at=MOMENT.astimezone(timezone(timedelta(hours=number))), text=TEXT)
        for other in range(number + 1):
            entry = await Entry.get_or_none(id=f"e{other}")
            assert entry is None or (entry.at, entry.text) == (MOMENT, TEXT)
        await _is_utc(connection)


async def _is_utc(connection: BaseDBAsyncClient) -> None:
    if connection.capabilities.dialect == "sqlite":
        return
    (row,) = await connection.execute_query_dict("SELECT LOCALTIMESTAMP AS here")
    assert abs(row["here"] - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)


async def test_moments_and_text_are_the_same_on_every_connection(server_elsewhere: Store) -> None:
    async with opened(server_elsewhere, "tests.db.ledger", DB_POOL_SIZE=CONNECTIONS):
        together = asyncio.Barrier(1 if server_elsewhere.kind == "sqlite" else CONNECTIONS)
        for _ in range(2):
            async with asyncio.timeout(20):
                await asyncio.gather(*[on_every_connection(number, together) for number in range(CONNECTIONS)])
            entries = await Entry.all()
            assert [(entry.at, entry.text) for entry in entries] == [(MOMENT, TEXT)] * CONNECTIONS
            assert await Entry.filter(at=MOMENT, text=TEXT).count() == CONNECTIONS
            await Entry.all().delete()


async def test_session_that_a_statement_has_changed_is_as_before(store: Store) -> None:
    if store.kind != "postgres":
        pytest.skip("Only PostgreSQL's sessions are reset.")
    async with opened(store, "tests.db.ledger", DB_POOL_SIZE=1):
        client = get_connection("default")
        await client.execute_query("SET timezone = 'Asia/Tokyo'")
        assert (await client.execute_query_dict("SHOW timezone"))[0]["TimeZone"] == "UTC"
