"""Upserts at once: watched or not, callers do not collide, and watchers hear of each row as it was and as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sanicbase import InvalidValue, SerializationError
from sanicbase.db import observers
from tests.db.archive import Article, Reader, Vote
from tests.db.library import Tally
from tests.db.opening import Store, opened
from tests.db.test_writes import Recorder, watching


@pytest.fixture
async def library(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.library", DB_POOL_SIZE=10, DB_ACQUIRE_TIMEOUT=60, DB_STATEMENT_TIMEOUT=60):
        yield


@pytest.fixture
async def archive(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.archive", DB_POOL_SIZE=10, DB_ACQUIRE_TIMEOUT=60, DB_STATEMENT_TIMEOUT=60):
        yield


async def test_upserts_of_one_key_do_not_collide(library: None) -> None:
    with watching(Tally) as recorder:
        tallies = await asyncio.gather(*(Tally.upsert({"name": "a", "n": n}, on=["name"]) for n in range(400)))
    assert {row.name for row in tallies} == {"a"}
    assert await Tally.all().count() == 1
    assert recorder.take().count(("before", [{"name": "a"}])) == 400


async def test_upserts_of_neighbouring_keys_do_not_collide(library: None) -> None:
    for turn in range(3):
        with watching(Tally):
            await asyncio.gather(*(Tally.upsert({"name": f"a{n:02}", "n": turn}, on=["name"]) for n in range(50)))
            many = [Tally(name=f"b{n:02}", n=turn) for n in range(50)]
            await asyncio.gather(
                *(Tally.bulk_upsert(many[place : place + 5], on=["name"]) for place in range(0, 50, 5))
            )
        assert await Tally.filter(n=turn).count() == 100


async def test_upserts_that_change_what_is_watched_do_not_collide(archive: None) -> None:
    """Each caller is told the value that it has replaced, no matter who wrote it."""
    ann = await Reader.create(card="ann")
    article = await Article.create(slug="first")
    recorder = Recorder()
    observers.watch(Vote, recorder, columns=["value"])
    try:
        await asyncio.gather(*(_vote(ann, article, value) for value in range(30)))
        rows = [row for kind, announced in recorder.take() if kind == "before" for row in announced]
    finally:
        observers.unwatch(Vote, recorder)
    (vote,) = await Vote.all()
    assert {row["value"] for row in rows} == set(range(30))
    replaced = {row["value"] for row in rows} - {vote.value}
    counts = {value: sum(row["value"] == value for row in rows) for value in replaced}
    assert all(count >= 2 for count in counts.values())  # when it was written, and when it was replaced


async def _vote(reader: Reader, article: Article, value: int) -> None:
    await Vote.upsert({"who": reader, "article": article, "value": value}, on=["who", "article"])


async def test_a_row_that_others_create_and_delete_again_and_again(
    library: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def beaten(cls: type[Tally], /, *args: object, name: str, **values: object) -> tuple[Tally, bool]:
        row = await Tally.create(name=name)
        await row.delete()
        return row, False

    monkeypatch.setattr(Tally, "_create_or_get", classmethod(beaten))
    with pytest.raises(SerializationError, match=r"Other transactions create and delete this Tally at the same time\."):
        await Tally.update_or_create({"n": 1}, name="a")
    monkeypatch.undo()
    assert await Tally.update_or_create({"n": 1}, name="a") == (await Tally.get(name="a"), True)
    assert (await Tally.update_or_create({"n": 2}, name="a"))[0].n == 2


async def test_errors_of_the_database_are_raised_unchanged(library: None) -> None:
    with pytest.raises(InvalidValue, match="n"):
        await Tally.update_or_create({"n": "many"}, name="a")
