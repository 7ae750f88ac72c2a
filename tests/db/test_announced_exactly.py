"""What the database makes or takes along is announced row by row: generated keys, and what a deletion cascades to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sanicbase.db import observers
from tests.db.library import Author, Book
from tests.db.opening import Store, opened
from tests.db.test_writes import Recorder, watching
from tests.db.twins import Twin

MODULES = ("tests.db.library", "tests.db.twins")


@pytest.fixture(autouse=True)
async def library(store: Store) -> AsyncIterator[None]:
    async with opened(store, *MODULES):
        yield


@contextmanager
def watching_parents() -> Iterator[Recorder]:
    """Twins, with the key of their parent."""
    recorder = Recorder()
    observers.watch(Twin, recorder, columns=["parent"])
    try:
        yield recorder
    finally:
        observers.unwatch(Twin, recorder)


def announcements(recorder: Recorder) -> list[Any]:
    return [announced for kind, announced in recorder.take() if kind == "before"]


def in_order(rows: list[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: row["id"])


async def test_generated_keys_are_announced() -> None:
    with watching(Author) as recorder:
        await Author.bulk_create([Author(name=f"a{n}") for n in range(30)], batch_size=7)
        (announced,) = announcements(recorder)
        assert in_order(announced) == await Author.all().order_by("id").values("id", "name")
        await Author.bulk_create([Author(id=900, name="given"), Author(name="made"), Author(id=901, name="too")])
        (announced,) = announcements(recorder)
        rows = await Author.filter(name__in=["given", "made", "too"]).values("id", "name")
        assert in_order(announced) == in_order(rows)
        await Author.bulk_create([])
        assert announcements(recorder) == []


async def test_generated_keys_are_announced_with_what_the_database_fills_in() -> None:
    with watching(Book) as recorder:
        await Book.bulk_create([Book(slug=f"b{n}", title=f"{n}") for n in range(5)])
        (announced,) = announcements(recorder)
        assert in_order(announced) == await Book.all().order_by("id").values("id", "living", "slug")


async def test_inserts_whose_keys_are_not_known_are_unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with watching(Author) as recorder:
        await Author.bulk_create([Author(name="a")])
        announcements(recorder)
        await Author.bulk_create([Author(name="a"), Author(name="b")], ignore_conflicts=True)
        assert announcements(recorder) == [None]
        assert await Author.all().count() == 2
        monkeypatch.setattr("sanicbase.db.queryset.MAX_WATCHED_ROWS", 2)
        await Author.bulk_create([Author(name=name) for name in "cde"])
        assert announcements(recorder) == [None]


async def test_a_deletion_announces_the_rows_that_go_with_it() -> None:
    ann, ben = await Author.create(name="ann"), await Author.create(name="ben")
    books = [await Book.create(slug=f"b{n}", author=ann) for n in range(3)]
    await Book.create(slug="other", author=ben)
    await books[0].delete()  # it is hidden, and goes with its author all the same
    with watching(Book) as recorder:
        await Author.filter(id=0).delete()
        assert announcements(recorder) == []
        await Author.filter(name="ann").delete()
        (announced,) = announcements(recorder)
        assert {row["id"] for row in announced} == {book.id for book in books}
        await Author.create(name="nobody's")
        await Author.filter(name="nobody's").delete()
        assert announcements(recorder) == []
    assert await Book.with_deleted().count() == 1


async def test_a_deletion_announces_the_rows_that_lose_their_key() -> None:
    for key, parent in ((1, None), (2, 1), (3, 1), (4, 2)):
        await Twin.create(id=key, parent_id=parent)
    with watching_parents() as recorder:
        await (await Twin.get(id=1)).delete()
        first, before, after = announcements(recorder)
        assert first == [{"id": 1, "parent_id": None}]
        assert sorted(before, key=str) == [{"id": 2, "parent_id": 1}, {"id": 3, "parent_id": 1}]
        assert sorted(after, key=str) == [{"id": 2, "parent_id": None}, {"id": 3, "parent_id": None}]
    assert await Twin.filter(parent_id=None).count() == 2


async def test_more_rows_than_the_limit_are_unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await Author.create(name="ann")
    await Book.bulk_create([Book(slug=f"b{n}", author=ann) for n in range(5)])
    monkeypatch.setattr("sanicbase.db.writes.MAX_WATCHED_ROWS", 3)
    with watching(Book) as recorder:
        await ann.delete()
        assert announcements(recorder) == [None]
