"""The verbs of DBModel, on every database."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from tortoise import fields
from tortoise.expressions import F, Q
from tortoise.manager import Manager
from tortoise.queryset import QuerySet
from tortoise.transactions import in_transaction

from sanicbase.db import DBManager, DBModel
from sanicbase.db.errors import IntegrityError, NotFoundError, StaleVersionError
from sanicbase.errors import InvalidValue, SanicBaseError
from tests.db.library import Author, Book, Shelf, Tally
from tests.db.opening import Store, opened


@pytest.fixture(autouse=True)
async def library(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.library"):
        yield


async def test_rows_are_got_by_key_and_by_what_is_unique() -> None:
    author = await Author.create(name="Lu Xun")
    assert await Author.get_by_pk(author.id) == author
    assert await Author.get_by_pk_or_fail(author.id) == author
    assert await Author.get_by_unique(name="Lu Xun") == author
    assert await Author.get_by_unique(pk=author.id) == author
    assert await Author.get_by_pk(0) is None
    assert await Author.get_by_unique(name="nobody") is None
    with pytest.raises(NotFoundError, match="Author 0 does not exist"):
        await Author.get_by_pk_or_fail(0)


@pytest.mark.parametrize("key", [2**70, -(2**40), "seven", None])
async def test_a_key_that_no_row_can_have_finds_none(key: object) -> None:
    await Author.create(name="Lu Xun")
    assert await Author.get_by_pk(key) is None
    assert await Author.delete_by_pk(2**70 if key is None else 0) is False
    assert await Shelf.get_by_pk(key) is None


async def test_only_what_is_unique_gets_a_single_row() -> None:
    with pytest.raises(SanicBaseError, match=r"title is not unique in Book\. Unique sets: id, pk, slug\."):
        await Book.get_by_unique(title="x")
    await Book.create(slug="a")
    assert await Book.get_by_unique(slug="a") is not None


async def test_rows_are_updated_and_deleted_by_key_and_by_condition() -> None:
    books = [await Book.create(slug=f"b{number}", pages=number) for number in range(6)]
    assert await Book.update_by_pk(books[0].id, title="first") is True
    assert await Book.update_by_pk(0, title="none") is False
    assert await Book.update_by({"pages__gte": 4}, title="thick") == 2
    assert await Book.update_by(Q(pages=2) | Q(pages=3), pages=F("pages") * 10) == 2
    assert sorted([book.pages for book in await Book.all()]) == [0, 1, 4, 5, 20, 30]
    assert await Book.delete_by_pk(books[0].id) is True
    assert await Book.delete_by_pk(books[0].id) is False
    assert await Book.delete_by({"title": "thick"}) == 2
    assert await Book.all().count() == 3


async def test_an_update_to_the_same_values_finds_its_row() -> None:
    await Tally.create(name="a", n=1)
    assert await Tally.update_by_pk("a", n=1) is True


@pytest.mark.parametrize("where", [{}, Q()])
async def test_an_empty_condition_is_not_every_row(where: Any) -> None:
    await Tally.create(name="a")
    with pytest.raises(SanicBaseError, match=r"write Tally\.all\(\)"):
        await Tally.update_by(where, n=1)
    with pytest.raises(SanicBaseError, match="empty"):
        await Tally.delete_by(where)
    assert (await Tally.get(name="a")).n == 0


async def test_every_way_to_update_moves_timestamps_and_version_on() -> None:
    book = await Book.create(slug="a")
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)

    async def moved(version: int) -> None:
        saved = await Book.get(id=book.id)
        assert saved.version == version
        assert saved.updated_at - datetime.now(UTC) < timedelta(minutes=1)
        assert saved.updated_at.year > 2001
        assert saved.created_at == book.created_at
        await Book.filter(id=book.id).update(updated_at=long_ago)

    await Book.filter(id=book.id).update(updated_at=long_ago)
    await Book.filter(id=book.id).update(title="b")
    await moved(3)
    await Book.update_by_pk(book.id, title="c")
    await moved(5)
    book = await Book.get(id=book.id)
    book.title = "d"
    await book.save()
    await moved(7)
    book = await Book.get(id=book.id)
    book.title = "e"
    await Book.bulk_update([book], ["title"])
    await moved(9)
    await Book.upsert({"slug": "a", "title": "f"}, on=["slug"])
    await moved(11)
    await Book.bulk_upsert([Book(slug="a", title="g")], on=["slug"])
    await moved(13)
    book = await Book.get(id=book.id)
    await book.delete()
    assert (await Book.with_deleted().get(id=book.id)).version == 15


async def test_deleted_rows_are_hidden_and_can_be_restored() -> None:
    author = await Author.create(name="Lu Xun")
    book = await Book.create(slug="a", author=author)
    other = await Book.create(slug="b", author=author)
    await book.delete()
    await book.delete()
    assert book.living is None
    assert book.deleted_at is not None
    assert [row.slug for row in await Book.all()] == ["b"]
    assert [row.slug for row in await author.books.all()] == ["b"]
    assert [row.slug for row in (await Author.all().prefetch_related("books"))[0].books] == ["b"]
    assert await Book.get_by_pk(book.id) is None
    assert await Book.exists(slug="a") is False
    assert await Book.with_deleted().count() == 2
    await book.restore()
    assert {row.slug for row in await Book.all()} == {"a", "b"}
    await Book.filter(slug="a").delete()
    assert await Book.with_deleted().count() == 2
    await other.erase()
    assert await Book.with_deleted().count() == 1


async def test_uniqueness_holds_among_the_living() -> None:
    first = await Book.create(slug="a")
    with pytest.raises(IntegrityError):
        await Book.create(slug="a")
    await first.delete()
    second = await Book.create(slug="a")
    await second.delete()
    third = await Book.create(slug="a")
    assert await Book.get_by_unique(slug="a") == third
    with pytest.raises(IntegrityError):
        await first.restore()
    assert await Book.with_deleted().filter(slug="a").count() == 3


async def test_save_does_not_write_over_what_it_has_not_seen() -> None:
    await Book.create(slug="a", title="0")
    mine, theirs = await Book.get(slug="a"), await Book.get(slug="a")
    theirs.title = "theirs"
    await theirs.save()
    mine.title = "mine"
    with pytest.raises(StaleVersionError, match="was changed or deleted"):
        await mine.save()
    assert (await Book.get(slug="a")).title == "theirs"
    theirs.pages = 3
    await theirs.save(update_fields=["pages"])
    assert theirs.version == 3
    await theirs.delete()
    with pytest.raises(StaleVersionError):
        await theirs.save()


async def test_bulk_update_refuses_stale_rows_and_writes_none() -> None:
    await Book.bulk_create([Book(slug=f"b{number}") for number in range(5)])
    books = await Book.all().order_by("slug")
    for book in books:
        book.title = "mine"
    await Book.filter(slug="b3").update(title="theirs")
    with pytest.raises(StaleVersionError):
        await Book.bulk_update(books, ["title"])
    assert {book.title for book in await Book.all()} == {"", "theirs"}
    fresh = [book for book in books if book.slug != "b3"]
    assert await Book.bulk_update(fresh, ["title"], batch_size=2) == 4
    assert await Book.filter(title="mine").count() == 4
    assert await Book.bulk_update([], ["title"]) == 0


async def test_bulk_create_is_all_or_nothing_over_many_batches() -> None:
    await Tally.create(name="t7")
    rows = [Tally(name=f"t{number}", n=number) for number in range(10)]
    with pytest.raises(IntegrityError):
        await Tally.bulk_create(rows, batch_size=2)
    assert await Tally.all().count() == 1
    await Tally.bulk_create(rows, batch_size=3, ignore_conflicts=True)
    assert await Tally.all().count() == 10
    rows = [Tally(name=f"u{number}", n=number) for number in range(5)]
    rows[4].n = 2**40
    with pytest.raises(InvalidValue):
        await Tally.bulk_create(rows, batch_size=2)
    assert await Tally.all().count() == 10


async def test_upsert_inserts_then_updates() -> None:
    tally = await Tally.upsert({"name": "a", "n": 1}, on=["name"])
    assert (tally.name, tally.n) == ("a", 1)
    again = await Tally.upsert({"name": "a", "n": 2}, on=["name"])
    assert again.n == 2
    kept = await Tally.upsert({"name": "a", "n": 3}, on=["name"], update=())
    assert kept.n == 2
    assert await Tally.all().count() == 1
    with pytest.raises(SanicBaseError, match="n is not unique in Tally"):
        await Tally.upsert({"name": "a", "n": 3}, on=["n"])


async def test_upsert_of_a_deleted_row_makes_a_new_one() -> None:
    old = await Book.upsert({"slug": "a", "title": "old"}, on=["slug"])
    same = await Book.upsert({"slug": "a", "title": "same"}, on=["slug"])
    assert (same.id, same.title, same.created_at) == (old.id, "same", old.created_at)
    await same.delete()
    new = await Book.upsert({"slug": "a", "title": "new"}, on=["slug"])
    assert new.id != old.id
    assert await Book.with_deleted().count() == 2


async def test_bulk_upsert_takes_the_last_of_equal_rows() -> None:
    await Tally.bulk_create([Tally(name="a", n=1), Tally(name="b", n=2)])
    rows = [Tally(name="b", n=20), Tally(name="c", n=3), Tally(name="b", n=21), Tally(name="d", n=4)]
    assert await Tally.bulk_upsert(rows, on=["name"], batch_size=2) == 3
    numbers = {row.name: row.n for row in await Tally.all()}
    assert numbers == {"a": 1, "b": 21, "c": 3, "d": 4}
    assert await Tally.bulk_upsert([], on=["name"]) == 0


async def test_upsert_if_mysql_cannot_distinguish_the_keys(store: Store) -> None:
    first = {"id": uuid.uuid4(), "code": "a", "label": "x"}
    if store.kind in ("aiomysql", "asyncmy"):
        with pytest.raises(SanicBaseError, match="MySQL and MariaDB cannot upsert"):
            await Shelf.upsert(first, on=["code"])
        assert await Shelf.all().count() == 0
        return
    shelf = await Shelf.upsert(first, on=["code"], update=["room"])
    again = await Shelf.upsert({"id": uuid.uuid4(), "code": "a", "room": 4}, on=["code"], update=["room"])
    assert (again.id, again.label, again.room) == (shelf.id, "x", 4)


async def test_verbs_join_the_open_transaction() -> None:
    async with in_transaction() as connection:
        await Tally.create(name="a")
        await Tally.bulk_create([Tally(name="b"), Tally(name="c")], batch_size=1)
        await Tally.upsert({"name": "d"}, on=["name"])
        await Tally.bulk_upsert([Tally(name="e")], on=["name"])
        await Tally.update_by_pk("a", n=5)
        await Tally.bulk_update([Tally(name="b", n=7)], ["n"])
        assert await Tally.all().count() == 5
        await connection.rollback()
    assert await Tally.all().count() == 0


async def test_verbs_take_a_connection() -> None:
    async with in_transaction() as connection:
        await Tally.upsert({"name": "d"}, on=["name"], using_db=connection)
        assert await Tally.update_by_pk("d", n=5, using_db=connection)
        tally = await Tally.get_by_pk("d", using_db=connection)
        assert tally is not None
        assert tally.n == 5
        assert await Tally.delete_by_pk("d", using_db=connection)


BAD = [
    ("title", "x" * 21, "too_long"),
    ("title", "a\0b", "invalid_text"),
    ("title", "a\ud800b", "invalid_text"),
    ("title", None, "null"),
    ("pages", 32768, "out_of_range"),
    ("pages", -32769, "out_of_range"),
    ("pages", "many", "wrong_type"),
    ("pages", [1], "wrong_type"),
    ("price", Decimal(10000), "out_of_range"),
    ("price", "dear", "wrong_type"),
    ("price", Decimal("NaN"), "not_finite"),
    ("rating", float("nan"), "not_finite"),
    ("rating", float("inf"), "not_finite"),
    ("facts", {"a": ["\0"]}, "invalid_text"),
    ("facts", {"\udfff": 1}, "invalid_text"),
    ("facts", {"a": {"b": float("nan")}}, "not_finite"),
    ("facts", "{", "wrong_type"),
    ("created_at", "yesterday", "wrong_type"),
    ("titel", "x", "unknown_field"),
]


async def create(values: dict[str, Any]) -> None:
    await Book.create(**{"slug": "b", **values})


async def bulk_create(values: dict[str, Any]) -> None:
    await Book.bulk_create([Book(slug="b"), Book(**{"slug": "c", **values})])


async def save(values: dict[str, Any]) -> None:
    await (await Book.get(slug="a")).update_from_dict(values).save()


async def upsert(values: dict[str, Any]) -> None:
    await Book.upsert({"slug": "b", **values}, on=["slug"])


async def update(values: dict[str, Any]) -> None:
    await Book.filter(slug="a").update(**values)


async def update_by_pk(values: dict[str, Any]) -> None:
    await Book.update_by_pk((await Book.get(slug="a")).id, **values)


async def save_attribute(values: dict[str, Any]) -> None:
    await _with_attributes(await Book.get(slug="a"), values).save()


async def bulk_create_attribute(values: dict[str, Any]) -> None:
    await Book.bulk_create([Book(slug="b"), _with_attributes(Book(slug="c"), values)], batch_size=1)


async def bulk_update_attribute(values: dict[str, Any]) -> None:
    await Book.bulk_update([_with_attributes(await Book.get(slug="a"), values)], list(values))


def _with_attributes(book: Book, values: dict[str, Any]) -> Book:
    for name, value in values.items():
        setattr(book, name, value)
    return book


@pytest.mark.parametrize(("name", "value", "code"), BAD)
async def test_a_value_that_does_not_fit_is_refused_by_name(name: str, value: object, code: str) -> None:
    await Book.create(slug="a")
    writes = [create, bulk_create, save, upsert, update, update_by_pk]
    if name not in ("titel", "created_at"):  # any attribute can be set; and a creation sets its time itself
        writes += [save_attribute, bulk_create_attribute, bulk_update_attribute]
    for write in writes:
        with pytest.raises(InvalidValue) as excinfo:
            await write({name: value})
        assert (write.__name__, excinfo.value.path, excinfo.value.code) == (write.__name__, name, code)
        assert repr(name) in str(excinfo.value)
    assert [(book.slug, book.title, book.version) for book in await Book.with_deleted()] == [("a", "", 1)]


async def test_values_that_just_fit_are_kept() -> None:
    values: dict[str, Any] = {
        "title": "雪" * 19 + "🦊",
        "pages": 32767,
        "price": Decimal("9999.99"),
        "rating": -1.5e300,
        "facts": {"🦊": ["é", 1.25, None, True]},
    }
    await Book.create(slug="a", **values)
    book = await Book.get(slug="a")
    assert {name: getattr(book, name) for name in values} == values


async def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    shanghai = timezone(timedelta(hours=8))
    moment = datetime(2026, 3, 1, 7, 30, 15, 123456, tzinfo=shanghai)
    book = await Book.create(slug="a")

    async def kept() -> None:
        assert await Book.filter(deleted_at=moment).count() == 1
        assert await Book.filter(deleted_at__gt=moment - timedelta(microseconds=1)).count() == 1
        deleted = await Book.get(slug="a")
        assert (deleted.deleted_at, deleted.deleted_at and deleted.deleted_at.utcoffset()) == (moment, timedelta(0))
        await Book.filter(slug="a").update(deleted_at=None)

    await Book.filter(slug="a").update(deleted_at=moment)
    await kept()
    book = await Book.get(slug="a")
    book.deleted_at = moment
    await book.save()
    await kept()
    book = await Book.get(slug="a")
    book.deleted_at = moment
    await Book.bulk_update([book], ["deleted_at"])
    await kept()
    await Book.upsert({"slug": "a", "deleted_at": moment}, on=["slug"])
    await kept()


async def test_plain_tortoise_calls_keep_working() -> None:
    book, created = await Book.get_or_create({"title": "x"}, slug="a")
    assert created
    book, created = await Book.update_or_create({"title": "y"}, slug="a")
    assert (created, book.title) == (False, "y")
    assert await Book.filter(title__icontains="Y").values_list("slug") == [("a",)]
    assert await Book.in_bulk([book.id]) == {book.id: book}
    assert await Book.first() == book
    await book.refresh_from_db()
    assert isinstance(Book.all(), QuerySet)


def test_a_custom_manager_is_supported() -> None:
    class Cheap(DBManager):
        def get_queryset(self) -> QuerySet[Any]:
            return super().get_queryset().filter(price__lt=10)

    class Offer(DBModel):
        class Meta:
            manager = Cheap()

    assert isinstance(Offer._meta.manager, Cheap)
    with pytest.raises(SanicBaseError, match="must be an instance of a subclass of DBManager"):
        type("Bad", (DBModel,), {"Meta": type("Meta", (), {"manager": Manager()}), "__module__": __name__})


def test_no_column_has_the_name_of_an_option() -> None:
    with pytest.raises(SanicBaseError, match=r"Bad\.using_db has the name of an option"):
        type("Bad", (DBModel,), {"using_db": fields.IntField(), "__module__": __name__})


@pytest.mark.parametrize("update", [Tally.update_by_pk, Tally.update_by])
async def test_a_column_that_there_is_not_may_have_the_name_of_a_parameter(update: Any) -> None:
    for name in ("cls", "where", "values"):
        with pytest.raises(InvalidValue, match=f"no field '{name}'"):
            await update({"name": "a"}, **{name: 1})
