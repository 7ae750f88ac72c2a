"""A commit whose answer never comes: nobody knows, and everybody is told so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import get_args

import pytest

from sanicbase.db import on_commit, transaction
from sanicbase.db.errors import DatabaseTimeout, DatabaseUnavailable
from tests.db.library import Tally
from tests.db.opening import STORES, Store, opened
from tests.db.test_writes import Recorder, before, watching
from tests.db.wire import Proxy, Trick, proxy

POOL = 3

pytestmark = pytest.mark.parametrize("store", [store for store in STORES if store.values != ("sqlite",)], indirect=True)


@pytest.fixture
async def line(store: Store) -> AsyncIterator[Proxy]:
    limits = {"DB_POOL_SIZE": POOL, "DB_STATEMENT_TIMEOUT": 1, "CONNECT_TIMEOUT": 5}
    async with proxy(store.url) as line, opened(store._replace(url=line.url), "tests.db.library", **limits):
        yield line


async def write(name: str, ran: list[str]) -> None:
    async with transaction():
        await Tally.create(name=name)
        await on_commit(partial(ran.append, name))


async def announcements(recorder: Recorder) -> list[object]:
    """The notifications, once they include an outcome."""
    async with asyncio.timeout(10):
        while len(recorder.events) < 2:
            await asyncio.sleep(0.01)
    return list(recorder.take())


async def check_pool() -> None:
    """As many transactions as there are connections are open at the same time."""
    together = asyncio.Barrier(POOL)

    async def one(index: int) -> None:
        async with transaction():
            await Tally.create(name=f"after {index}")
            await together.wait()

    async with asyncio.timeout(20):
        await asyncio.gather(*map(one, range(POOL)))


@pytest.mark.parametrize("trick", get_args(Trick))
async def test_the_outcome_of_a_cut_commit_is_unknown(line: Proxy, trick: Trick) -> None:
    ran: list[str] = []
    with watching(Tally) as recorder:
        for name in ("a", "b"):
            line.trick = trick
            line.tricked.clear()
            with pytest.raises(DatabaseUnavailable if trick.startswith("cut") else DatabaseTimeout):
                async with asyncio.timeout(20):
                    await write(name, ran)
            assert line.tricked.is_set()
            assert await announcements(recorder) == [before(name), ("unknown", 1)]
    assert ran == []
    names = sorted([row.name for row in await Tally.all()])
    assert names == (["a", "b"] if trick.endswith("after") else [])
    await check_pool()


@pytest.mark.parametrize("trick", get_args(Trick))
async def test_it_is_unknown_also_when_the_caller_was_cancelled(line: Proxy, trick: Trick) -> None:
    ran: list[str] = []
    line.trick = trick
    with watching(Tally) as recorder:
        task = asyncio.create_task(write("a", ran))
        await line.tricked.wait()
        task.cancel()
        with pytest.raises((asyncio.CancelledError, DatabaseUnavailable)):  # a cut may be faster
            async with asyncio.timeout(20):
                await task
        assert await announcements(recorder) == [before("a"), ("unknown", 1)]
    assert ran == []
    assert await Tally.exists(name="a") == trick.endswith("after")
    await check_pool()


@pytest.mark.parametrize("trick", ["cut before", "cut after"])
async def test_a_cut_commit_without_watchers_raises_as_well(line: Proxy, trick: Trick) -> None:
    line.trick = trick
    with pytest.raises(DatabaseUnavailable):
        async with transaction():
            await Tally.create(name="a")
    assert await Tally.exists(name="a") == trick.endswith("after")
    await check_pool()
