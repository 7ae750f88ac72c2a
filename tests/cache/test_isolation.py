"""What a transaction sees of others through a cache model is what its isolation lets it see."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sanicbase import transaction
from sanicbase.db import spawn
from sanicbase.db.transaction import Isolation
from tests.cache.guarded import Word, WordRC
from tests.cache.opening import library


@pytest.fixture(
    params=[
        pytest.param("postgres_url", marks=pytest.mark.xdist_group("postgres")),
        pytest.param("mysql_url", marks=pytest.mark.xdist_group("mysql")),
    ]
)
async def words(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[None]:
    """Two words on a database with isolation levels."""
    async with library(request.getfixturevalue(request.param), redis_url, models="tests.cache.guarded"):
        await Word.create(name="one")
        await Word.create(name="two")
        yield


async def read_after_write(isolation: Isolation) -> int | None:
    """What a transaction gets that has read before another one writes."""
    async with transaction(isolation=isolation):
        await WordRC.get("two")
        await spawn(WordRC.update("one", n=7))
        word = await WordRC.get("one")
    return None if word is None else word.n


async def test_read_committed_sees_a_write_that_has_returned(words: None) -> None:
    assert await read_after_write("read committed") == 7


async def test_repeatable_read_sees_the_moment_of_its_first_select_and_stores_none_of_it(words: None) -> None:
    assert await read_after_write("repeatable read") == 0
    assert await WordRC.get("one") == WordRC(name="one", n=7)


async def test_a_locking_read_sees_the_latest_where_the_default_is_repeatable(words: None) -> None:
    async with transaction():
        await WordRC.get("two")
        await spawn(WordRC.update("one", n=7))
        assert (await Word.filter(name="one").select_for_update().get()).n == 7
