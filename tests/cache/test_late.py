"""A closing that comes to Redis after its writer has opened: on a real link that delays it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from sanicbase import get_redis
from sanicbase.db.raw_writes import raw_write
from tests.cache.delaying import Delaying, delaying
from tests.cache.models import AuthorRC
from tests.cache.opening import commands, library
from tests.db.library import Author


@pytest.fixture
async def link(db_url: str, redis_url: str) -> AsyncIterator[Delaying]:
    """The link to the Redis of a library that is open, with a row that is cached."""
    async with delaying(redis_url) as link, library(db_url, link.url, primary=redis_url):
        await Author.create(id=1, name="ann")
        await AuthorRC.get(1)
        yield link


async def rename() -> None:
    await Author.filter(id=1).update(name="bea")


async def change_any_row() -> None:
    async with raw_write(Author) as connection:
        await connection.execute_query("UPDATE author SET name = 'bea' WHERE id = 1")


async def is_opened() -> bool:
    return bool(await get_redis().keys("library:rc:AuthorRC:o:*"))


async def assert_cached(name: str, redis_url: str) -> None:
    assert not await get_redis().keys("library:rc:AuthorRC:c:*")
    assert await AuthorRC.get(1) == AuthorRC(id=1, name=name)
    async with commands(redis_url) as sent:
        await AuthorRC.get(1)
    assert sent == ["MGET"]


@pytest.mark.parametrize("write", [rename, change_any_row])
async def test_a_closing_without_an_answer_that_comes_late_closes_nothing(
    link: Delaying, redis_url: str, write: object
) -> None:
    link.hold()
    await (rename() if write is rename else change_any_row())
    assert link.held.is_set()
    await link.release()
    await assert_cached("bea", redis_url)


@pytest.mark.parametrize("write", [rename, change_any_row])
async def test_the_closing_of_a_cancelled_writer_closes_nothing_afterwards(
    link: Delaying, redis_url: str, write: object
) -> None:
    link.hold()
    writing = asyncio.create_task(rename() if write is rename else change_any_row())
    await link.held.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    deadline = monotonic() + 10
    while not await is_opened():
        assert monotonic() < deadline
        await asyncio.sleep(0.01)
    await link.release()
    await assert_cached("ann", redis_url)
