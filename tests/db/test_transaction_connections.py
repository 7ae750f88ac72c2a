"""Transactions on several connections, each by its name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from tortoise.connection import get_connection

from sanicbase.db import on_commit, transaction
from sanicbase.db.engine.transactions import EngineTransaction
from tests.db.library import Tally
from tests.db.opening import Store, opened


@pytest.fixture(autouse=True)
async def library(store: Store, tmp_path: Path) -> AsyncIterator[None]:
    log = f"sqlite://{tmp_path / 'log.sqlite3'}"
    async with opened(store, "tests.db.library", DB_CONNECTIONS={"log": log}):
        await get_connection("log").execute_script("CREATE TABLE line (text TEXT)")
        yield


async def lines() -> int:
    rows = await get_connection("log").execute_query_dict("SELECT count(*) AS n FROM line")
    return int(rows[0]["n"])


async def write_line() -> None:
    await get_connection("log").execute_query("INSERT INTO line VALUES ('x')")


async def test_transactions_on_two_connections_are_two() -> None:
    ran: list[str] = []
    with pytest.raises(ZeroDivisionError):
        async with transaction():
            await Tally.create(name="a")
            await on_commit(partial(ran.append, "default"))
            async with transaction("log"):
                await write_line()
                await on_commit(partial(ran.append, "log"), using="log")
            assert ran == ["log"]
            raise ZeroDivisionError
    assert ran == ["log"]
    assert (await Tally.all().count(), await lines()) == (0, 1)


async def test_the_name_decides_which_one_is_open() -> None:
    async with transaction("log"):
        assert isinstance(get_connection("log"), EngineTransaction)
        assert not isinstance(get_connection("default"), EngineTransaction)
        async with transaction():
            await Tally.create(name="a")
            await write_line()
    assert (await Tally.all().count(), await lines()) == (1, 1)


async def test_an_effect_is_outside_of_every_transaction() -> None:
    states: list[bool] = []

    async def effect() -> None:
        states.extend(isinstance(get_connection(name), EngineTransaction) for name in ("default", "log"))

    async with transaction("log"):
        async with transaction():
            await on_commit(effect)
        assert states == [False, False]
