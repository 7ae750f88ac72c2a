"""The write protocol: what watchers hear, when, and what it costs."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from tortoise.expressions import F
from tortoise.transactions import in_transaction

from sanicbase.db import DBModel, transaction, writes
from sanicbase.db.errors import IntegrityError
from sanicbase.db.observers import Write, unwatch, watch
from sanicbase.db.raw_writes import raw_write
from sanicbase.errors import SanicBaseError
from tests.db.library import Author, Book, Tally
from tests.db.opening import Store, opened


class Recorder:
    """Records all notifications in order: `("before", {keys})`, then `("committed", how many)`."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.refuses = False

    async def before_write(self, write: Write) -> None:
        if self.refuses:
            raise PermissionError
        self.events.append(("before", write.rows and [dict(row) for row in write.rows]))

    async def before_commit(self, writes: Sequence[Write]) -> None:
        """Nothing is refused here."""

    async def committed(self, writes: Sequence[Write]) -> None:
        self.events.append(("committed", len(writes)))

    async def rolled_back(self, writes: Sequence[Write]) -> None:
        self.events.append(("rolled back", len(writes)))

    async def unknown(self, writes: Sequence[Write]) -> None:
        self.events.append(("unknown", len(writes)))

    def take(self) -> list[tuple[str, Any]]:
        events, self.events = self.events, []
        return events


@contextmanager
def watching(*models: type[DBModel]) -> Iterator[Recorder]:
    recorder = Recorder()
    for model in models:
        watch(model, recorder)
    try:
        yield recorder
    finally:
        for model in models:
            unwatch(model, recorder)


@contextmanager
def counted(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The statements that Tortoise sends meanwhile, by their first word."""
    sent: list[str] = []
    with caplog.at_level(logging.DEBUG, logger="tortoise.db_client"):
        caplog.clear()
        yield sent
        sent += [re.split(r"\W", record.getMessage(), maxsplit=1)[0].upper() for record in caplog.records]
    caplog.clear()


@pytest.fixture(autouse=True)
async def library(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.library"):
        yield


@pytest.fixture
def tallies() -> Iterator[Recorder]:
    with watching(Tally) as recorder:
        yield recorder


@pytest.fixture
def authors() -> Iterator[Recorder]:
    with watching(Author) as recorder:
        yield recorder


def before(*names: str) -> tuple[str, Any]:
    return "before", [{"name": name} for name in names]


async def test_single_rows_are_announced(tallies: Recorder) -> None:
    row = await Tally.create(name="a")
    assert tallies.take() == [before("a"), ("committed", 1)]
    row.n = 1
    await row.save()
    assert tallies.take() == [before("a"), ("committed", 1)]
    await Tally.update_by_pk("a", n=2)
    assert tallies.take() == [before("a"), ("committed", 1)]
    await Tally.get_or_create({"n": 3}, name="a")
    assert tallies.take() == []
    await Tally.update_or_create({"n": 3}, name="a")
    assert tallies.take() == [before("a"), ("committed", 1)]
    await Tally.upsert({"name": "a", "n": 4}, on=["name"])
    assert tallies.take() == [before("a"), ("committed", 1)]
    await Tally.upsert({"name": "b"}, on=["name"])
    assert tallies.take() == [("before", [{"name": "b"}]), ("committed", 1)]
    await (await Tally.get(name="a")).delete()
    assert tallies.take() == [before("a"), ("committed", 1)]
    await Tally.delete_by_pk("b")
    assert tallies.take() == [before("b"), ("committed", 1)]
    await Tally.delete_by_pk("b")
    assert tallies.take() == []


async def test_many_rows_are_announced_together(tallies: Recorder) -> None:
    await Tally.bulk_create([Tally(name="a"), Tally(name="b"), Tally(name="c")])
    assert tallies.take() == [before("a", "b", "c"), ("committed", 1)]
    await Tally.filter(name__in=["a", "b"]).update(n=F("n") + 1)
    assert sorted(tallies.take()[0][1], key=str) == [{"name": "a"}, {"name": "b"}]
    await Tally.bulk_update([Tally(name="a", n=5), Tally(name="c", n=6)], ["n"])
    assert sorted(tallies.take()[0][1], key=str) == [{"name": "a"}, {"name": "c"}]
    await Tally.bulk_upsert([Tally(name="c", n=7), Tally(name="d", n=8)], on=["name"])
    assert tallies.take() == [before("c", "d"), ("committed", 1)]
    await Tally.all().delete()
    assert sorted([row["name"] for row in tallies.take()[0][1]]) == ["a", "b", "c", "d"]


async def test_old_and_new_unique_values_are_announced(authors: Recorder) -> None:
    author = await Author.create(name="old")
    authors.take()
    author.name = "new"
    await author.save()
    old, new = {"id": author.id, "name": "old"}, {"id": author.id, "name": "new"}
    assert authors.take() == [("before", [old]), ("before", [new]), ("committed", 2)]
    await Author.filter(id=author.id).update(name="old")
    assert authors.take() == [("before", [new]), ("before", [old]), ("committed", 2)]
    await Author.upsert({"name": "old"}, on=["name"])
    assert authors.take() == [("before", [old]), ("committed", 1)]
    await Author.bulk_create([Author(name="x")])
    (x,) = await Author.filter(name="x")
    assert authors.take() == [("before", [{"id": x.id, "name": "x"}]), ("committed", 1)]


async def test_too_many_rows_are_unbounded(tallies: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "MAX_WATCHED_ROWS", 3)
    await Tally.bulk_create([Tally(name=str(number)) for number in range(5)])
    tallies.take()
    assert await Tally.filter(name__gte="2").update(n=1) == 3
    assert len(tallies.take()[0][1]) == 3
    assert await Tally.filter(name__gte="1").update(n=2) == 4
    assert tallies.take() == [("before", None), ("committed", 1)]
    assert await Tally.all().delete() == 5
    assert tallies.take() == [("before", None), ("committed", 1)]


async def test_relations_and_what_the_database_deletes_are_announced() -> None:
    with watching(Book) as books:
        author = await Author.create(name="a")
        assert books.take() == []
        book = await Book.create(slug="a", author=author)
        image = {"id": book.id, "slug": "a", "living": True}
        books.take()
        await author.books.all().update(title="x")
        assert books.take() == [("before", [image]), ("committed", 1)]
        await Author.filter(id=0).delete()
        assert books.take() == []
        await book.delete()
        assert books.take() == [("before", [image]), ("before", [image | {"living": None}]), ("committed", 2)]
        await author.delete()
        assert books.take() == [("before", [image | {"living": None}]), ("committed", 1)]


async def test_the_outcome_of_a_transaction_is_announced_once(tallies: Recorder) -> None:
    async with transaction():
        await Tally.create(name="a")
        async with in_transaction():
            await Tally.update_by_pk("a", n=1)
        assert tallies.take() == [before("a"), before("a")]
    assert tallies.take() == [("committed", 2)]
    with pytest.raises(ZeroDivisionError):
        async with transaction():
            await Tally.update_by_pk("a", n=2)
            raise ZeroDivisionError
    assert tallies.take() == [before("a"), ("rolled back", 1)]
    async with transaction():
        with pytest.raises(ZeroDivisionError):
            async with transaction():
                await Tally.update_by_pk("a", n=3)
                raise ZeroDivisionError
    assert tallies.take() == [before("a"), ("committed", 1)]  # the end opens what a savepoint closed
    assert (await Tally.get(name="a")).n == 1


async def test_a_raw_statement_is_announced_or_refused(tallies: Recorder) -> None:
    await Tally.create(name="a")
    tallies.take()
    rows: list[Tally] = await Tally.raw("SELECT * FROM tally")
    assert [row.name for row in rows] == ["a"]
    with pytest.raises(SanicBaseError, match=r"raw_write\(Tally\)"):
        await Tally.raw("UPDATE tally SET n = 5")
    async with raw_write(Tally) as connection:
        assert tallies.take() == [("before", None)]
        await connection.execute_query("UPDATE tally SET n = 5")
    assert tallies.take() == [("committed", 1)]
    assert (await Tally.get(name="a")).n == 5
    with watching(Book) as books, pytest.raises(ZeroDivisionError):
        async with raw_write(Author):  # whose deletion takes books along
            raise ZeroDivisionError
    assert books.take() == [("before", None), ("rolled back", 1)]


async def test_a_watcher_can_keep_a_write_from_happening(tallies: Recorder) -> None:
    await Tally.create(name="a")
    tallies.take()
    tallies.refuses = True
    for write in (
        lambda: Tally.create(name="b"),
        lambda: Tally.update_by_pk("a", n=1),
        lambda: Tally.delete_by_pk("a"),
        lambda: Tally.bulk_create([Tally(name="c")]),
        lambda: Tally.upsert({"name": "a", "n": 1}, on=["name"]),
    ):
        with pytest.raises(PermissionError):
            await write()
    assert [kind for kind, _ in tallies.take()] == ["rolled back"] * 5
    assert [(row.name, row.n) for row in await Tally.all()] == [("a", 0)]


async def test_a_failing_write_is_rolled_back(authors: Recorder) -> None:
    await Author.create(name="a")
    authors.take()
    with pytest.raises(IntegrityError):
        await Author.create(name="a")
    assert authors.take() == []  # it came to nothing before anybody had to know
    other = await Author.create(name="b")
    authors.take()
    with pytest.raises(IntegrityError):
        await Author.filter(name="b").update(name="a")
    assert authors.take() == [("before", [{"id": other.id, "name": "b"}]), ("rolled back", 1)]


async def test_a_write_without_watchers_is_one_statement(caplog: pytest.LogCaptureFixture) -> None:
    row = await Tally.create(name="a")
    with watching(Author), counted(caplog) as sent:
        await row.save()
        await Tally.create(name="b")
        await Tally.filter(name="a").update(n=1)
        await Tally.filter(name="b").delete()
    assert sent == ["UPDATE", "INSERT", "UPDATE", "DELETE"]


async def test_statements_of_watched_writes(tallies: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    """Besides BEGIN and COMMIT, which Tortoise does not log."""
    with counted(caplog) as sent:
        row = await Tally.create(name="a")
    assert sent == ["INSERT"]
    with counted(caplog) as sent:
        await row.save()
    assert sent == ["SELECT", "UPDATE"]
    with counted(caplog) as sent:
        await Tally.filter(n=0).update(n=1)
    assert sent == ["SELECT", "UPDATE"]
    with counted(caplog) as sent:
        await Tally.filter(n=7).update(n=1)
    assert sent == ["SELECT"]
    with counted(caplog) as sent:
        await Tally.filter(n=1).delete()
    assert sent == ["SELECT", "DELETE"]


MANY = {
    "bulk_create": (["INSERT"], ["INSERT"]),
    "bulk_update": (["UPDATE"], ["SELECT", "UPDATE"]),
    "upsert": (["INSERT", "SELECT"], ["INSERT", "SELECT", "SELECT"]),
    "bulk_upsert": (["INSERT"], ["INSERT", "SELECT"]),
    "get_by_pk": (["SELECT"], ["SELECT"]),
    "instance_delete": (["DELETE"], ["SELECT", "DELETE"]),
}


@pytest.mark.parametrize("operation", MANY)
async def test_statements_of_the_other_verbs(operation: str, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        row = await Tally.create(name="x")
        others = [Tally(name=str(number)) for number in range(3)]
        with counted(caplog) as sent:
            match operation:
                case "bulk_create":
                    await Tally.bulk_create(others)
                case "bulk_update":
                    await Tally.bulk_update([row], ["n"])
                case "upsert":
                    await Tally.upsert({"name": "x", "n": 1}, on=["name"])
                case "bulk_upsert":
                    await Tally.bulk_upsert([row, *others], on=["name"])
                case "get_by_pk":
                    await Tally.get_by_pk("x")
                case "instance_delete":
                    await row.delete()
        results.append(sent)
        await Tally.all().delete()

    results: list[list[str]] = []
    await run()
    with watching(Tally):
        await run()
    assert tuple(results) == MANY[operation]
