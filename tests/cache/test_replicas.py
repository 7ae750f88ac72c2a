"""Every fill reads the primary, whatever a replica has: a class's own `load`, and what it awaits in tasks."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pytest
from tortoise.connection import get_connection

from sanicbase import RCModel, transaction
from sanicbase.cache.model import cache_models
from sanicbase.db.routing import start_scope
from tests.cache.models import AuthorRC
from tests.cache.opening import library
from tests.db.library import Author, Tally
from tests.db.opening import Store, opened
from tests.db.standby import Pair, postgres_pair


class NameRC(RCModel):
    """An author's name, by a plain select, by a task, by a relation and by another cache model."""

    id: int
    names: list[str]

    class Meta:
        watches = {Author: "id"}

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        return [cls(id=key, names=await cls.ways(key)) for key in keys]

    @classmethod
    async def ways(cls, key: int) -> list[str]:
        row = await Author.get_or_none(id=key)
        if row is None:
            return []
        in_task = await asyncio.create_task(cls.plain(key))
        together = await asyncio.gather(cls.plain(key), Author.filter(id=key).values_list("name", flat=True))
        cached = await AuthorRC.get_or_fail(key)
        return [row.name, in_task, together[0], *map(str, together[1]), cached.name]

    @classmethod
    async def plain(cls, key: int) -> str:
        return (await Author.get(id=key)).name


cache_models.discard(NameRC)


@pytest.fixture(autouse=True)
def only_here() -> Iterator[None]:
    """Other tests count what a write to an author says to Redis."""
    cache_models.add(NameRC)
    yield
    cache_models.discard(NameRC)


@pytest.fixture
async def replicated(tmp_path: Path, redis_url: str) -> AsyncIterator[None]:
    """A library whose rows are named after the server that has them."""
    primary, replica = tmp_path / "primary.sqlite3", tmp_path / "replica.sqlite3"
    async with opened(Store("sqlite", f"sqlite://{primary}"), "tests.db.library"):
        await Author.create(id=1, name="primary")
    with closing(sqlite3.connect(primary)) as one, closing(sqlite3.connect(replica)) as other:
        one.backup(other)
        other.executescript("UPDATE author SET name = 'replica'")
    replicas = {"default": [f"sqlite://{replica}"]}
    async with library(f"sqlite://{primary}", redis_url, schema=False, DB_REPLICAS=replicas):
        start_scope()
        assert (await Author.get(id=1)).name == "replica"
        yield


async def _inside() -> NameRC | None:
    async with transaction():
        return await NameRC.get(1)


WAYS: dict[str, Callable[[], Awaitable[NameRC | None]]] = {
    "get": lambda: NameRC.get(1),
    "refresh": lambda: NameRC.refresh(1),
    "inside of a transaction": _inside,
}


@pytest.mark.usefixtures("replicated")
@pytest.mark.parametrize("read", WAYS.values(), ids=WAYS)
async def test_a_load_reads_the_primary(read: Callable[[], Awaitable[NameRC | None]]) -> None:
    assert await read() == NameRC(id=1, names=["primary"] * 5)


@pytest.mark.usefixtures("replicated")
async def test_a_load_without_waiting_callers_reads_the_primary() -> None:
    opened_class = NameRC._cache()
    opened_class.entries._refresh_early(opened_class.entries.key((1,)), (1,))
    await asyncio.gather(*opened_class.entries._tasks)
    assert await NameRC.get(1) == NameRC(id=1, names=["primary"] * 5)
    assert (await NameRC.stats()).hits == 1


@pytest.mark.usefixtures("replicated")
async def test_reading_an_entry_does_not_pin_the_caller_to_the_primary() -> None:
    await NameRC.get(1)
    assert (await Author.get(id=1)).name == "replica"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with postgres_pair() as pair:
        yield pair


@pytest.mark.xdist_group("standby")
async def test_an_entry_is_not_filled_from_a_standby_that_replays_nothing(pair: Pair, redis_url: str) -> None:
    settings: dict[str, Any] = {"DB_REPLICAS": {"default": [pair.standby.url]}, "DB_REPLICA_MAX_LAG": 600}
    async with library(pair.primary.url, redis_url, **settings):
        await Tally.create(name="first")
        await caught_up(pair)
        await asyncio.to_thread(pair.standby.ask, "SELECT pg_wal_replay_pause()")
        await asyncio.to_thread(pair.primary.ask, "INSERT INTO author (id, name) VALUES (7, 'ann')")
        await NameRC.invalidate(7)
        start_scope()
        assert (await Author.all()._choose_db().execute_query_dict("SELECT * FROM author")) == []
        assert get_connection("default") is not Author.all()._choose_db()
        expected = NameRC(id=7, names=["ann"] * 5)
        assert await NameRC.get(7) == await NameRC.refresh(7) == expected
        await Author.create(id=8, name="bea")
        start_scope()
        assert await NameRC.get(8) == NameRC(id=8, names=["bea"] * 5)
        await asyncio.to_thread(pair.standby.ask, "SELECT pg_wal_replay_resume()")
        await caught_up(pair)
        assert await NameRC.get(7) == expected


async def caught_up(pair: Pair) -> None:
    """Wait until the standby has all that the primary has written."""
    lsn = await asyncio.to_thread(pair.primary.ask, "SELECT pg_current_wal_lsn()::text")
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(pair.standby.ask, f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'::pg_lsn"):
            await asyncio.sleep(0.02)
