"""Whoever walks along a list meets every row once, whatever happens to other rows in the meantime."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sanicbase import InvalidQuery, KeysetPage, SanicBaseError, keyset_page
from tests.db.opening import Store, opened
from tests.db.shelf import Book, Genre, Grade, Note, Writer

VALUES: dict[str, list[Any]] = {  # few of each kind, so that rows share them
    "title": ["", "a", "A", "b", "B ", "ä", "z\\'\"%_", "\N{CAT FACE}"],
    "subtitle": [None, "a", "A", "b"],
    "rank": [None, -(2**31), 0, 1, 2**31 - 1],
    "sold": [-(2**63), 0, 2**63 - 1],
    "price": [None, Decimal("-1.10"), Decimal("0.00"), Decimal("9.90"), Decimal("10.10"), Decimal("999999.99")],
    "weight": [None, -0.0, 0.1, 0.1 + 0.2, 1 / 3, 1e-300, 1.7976931348623157e308],
    "printed_at": [
        None,
        datetime(1999, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(2000, 1, 1, 0, 0, 0, 1, UTC),
        datetime(2000, 1, 1, 0, 0, 0, 100000, UTC),
    ],
    "bought_on": [None, date(1000, 1, 1), date(2024, 2, 29)],
    "reading_time": [None, timedelta(microseconds=-1), timedelta(0), timedelta(days=40, microseconds=7)],
    "lent": [None, False, True],
    "genre": [None, Genre.NOVEL, Genre.POEM],
    "grade": [None, Grade.POOR, Grade.GOOD],
    "writer_id": [None, 1, 2],
}

rows = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()})
NAMES = ["writer" if name == "writer_id" else name for name in VALUES]
orders = st.lists(st.sampled_from([*NAMES, "id"]), max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*(st.sampled_from([name, f"-{name}"]) for name in names))
)
quick = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def shelf(store: Store) -> AsyncIterator[Store]:
    async with opened(store, "tests.db.shelf"):
        yield store


async def put(contents: list[dict[str, Any]], keys: list[UUID]) -> None:
    await Book.bulk_create([Book(id=key, **content) for key, content in zip(keys, contents, strict=True)])


class Disturber:
    """Writes and deletes rows that are nobody's to count, one after the other, between two pages."""

    def __init__(self, contents: list[dict[str, Any]], keys: list[UUID]) -> None:
        self.contents = list(zip(contents, keys, strict=True))
        self.turn = 0

    async def __call__(self) -> None:
        if self.contents and self.turn < 3 * len(self.contents):
            content, key = self.contents[self.turn % len(self.contents)]
            if not await Book.filter(id=key).delete():
                await Book.create(id=key, **content)
            self.turn += 1


async def walk(order: tuple[str, ...], size: int, direction: str, cursor: str | None, between: Disturber) -> Any:
    """The keys of all pages in one direction, in the list's order, and the last page that was not empty."""
    pages: list[KeysetPage[Book]] = []
    for _ in range(200):
        page = await keyset_page(Book.all(), order, cursor=cursor, size=size)
        assert len(page.items) <= size
        pages.append(page)
        cursor = getattr(page, direction)
        if cursor is None:
            break
        await between()
    else:
        raise AssertionError("the list has no end")
    inside = pages if direction == "next" else pages[::-1]
    return [book.id for page in inside for book in page.items], pages[-1]


@quick
@given(
    st.lists(rows, max_size=9),
    st.lists(rows, max_size=5),
    orders,
    st.integers(1, 4),
    st.lists(st.uuids(), min_size=14, max_size=14, unique=True),
)
@example([], [], (), 1, [UUID(int=n) for n in range(14)])
async def test_every_row_that_stays_is_met_exactly_once_in_both_directions(
    shelf: Store,
    staying: list[dict[str, Any]],
    others: list[dict[str, Any]],
    order: tuple[str, ...],
    size: int,
    keys: list[UUID],
) -> None:
    await Book.all().delete()
    await Writer.all().delete()
    await Writer.bulk_create([Writer(id=1, name="Ann"), Writer(id=2, name="Bob")])
    remaining = keys[: len(staying)]
    await put(staying, remaining)
    await put(others[::2], keys[9:][: len(others)][::2])
    between = Disturber(others, keys[9:][: len(others)])
    forwards, last = await walk(order, size, "next", None, between)
    backwards, first = await walk(order, size, "previous", last.previous, between) if last.previous else ([], last)
    if last.previous:
        backwards += [book.id for book in last.items]
    else:
        backwards = forwards
    assert first.previous is None
    plain = [name.removeprefix("-") for name in order]
    order = tuple(f"{name}_id" if name.endswith("writer") else name for name in order)  # as Tortoise takes it
    tie = [] if "id" in plain else ["-id" if order and order[-1].startswith("-") else "id"]
    truth = [book.id for book in await Book.filter(id__in=remaining).order_by(*order, *tie)] if remaining else []
    assert [key for key in forwards if key in remaining] == truth
    assert [key for key in backwards if key in remaining] == truth


async def test_a_page_is_one_statement(shelf: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await Note.bulk_create([Note(text=str(n)) for n in range(5)])
    first = await keyset_page(Note.all(), ("text",), size=2)
    client = Note._meta.db
    statements: list[str] = []
    original: Callable[..., Any] = client.execute_query

    async def counting(query: str, *arguments: Any) -> Any:
        statements.append(query)
        return await original(query, *arguments)

    monkeypatch.setattr(client, "execute_query", counting)
    second = await keyset_page(Note.all(), ("text",), cursor=first.next, size=2)
    assert [note.text for note in second.items] == ["2", "3"]
    assert len(statements) == 1


async def test_the_ends_of_a_list_have_no_cursors(shelf: Store) -> None:
    assert await keyset_page(Note.all(), size=2) == KeysetPage([], None, None)
    await Note.bulk_create([Note(text=str(n)) for n in range(4)])
    full = await keyset_page(Note.all(), size=4)
    assert (len(full.items), full.next, full.previous) == (4, None, None)
    first = await keyset_page(Note.all(), size=2)
    second = await keyset_page(Note.all(), cursor=first.next, size=2)
    assert second.next is None
    first_again = await keyset_page(Note.all(), cursor=second.previous, size=2)
    assert (first_again.items, first_again.previous) == (first.items, None)
    assert first_again.map(lambda note: note.text) == KeysetPage(["0", "1"], first_again.next, None)


async def test_the_previous_cursor_of_an_empty_page_leads_back_to_its_start(shelf: Store) -> None:
    await Note.bulk_create([Note(text=str(n)) for n in range(4)])
    first = await keyset_page(Note.all(), ("text",), size=2)
    second = await keyset_page(Note.all(), ("text",), cursor=first.next, size=2)
    await Note.filter(text__in=["2", "3"]).delete()
    empty = await keyset_page(Note.all(), ("text",), cursor=first.next, size=2)
    assert (empty.items, empty.next) == ([], None)
    back = await keyset_page(Note.all(), ("text",), cursor=empty.previous, size=2)
    assert back.items == first.items
    await Note.create(text="2")
    await Note.filter(text__in=["0", "1"]).delete()
    empty = await keyset_page(Note.all(), ("text",), cursor=second.previous, size=2)
    assert (empty.items, empty.previous) == ([], None)
    on = await keyset_page(Note.all(), ("text",), cursor=empty.next, size=2)
    assert [note.text for note in on.items] == ["2"]


async def test_filters_relations_and_other_queries_go_together_with_a_cursor(shelf: Store) -> None:
    writer = await Writer.create(name="Ann")
    keys = [UUID(int=n) for n in range(6)]
    await Book.bulk_create([Book(id=key, title="t", writer_id=writer.id if key.int % 2 else None) for key in keys])
    books = Book.filter(writer__name="Ann").select_related("writer")
    first = await keyset_page(books, ("writer_id", "-title"), size=2)
    second = await keyset_page(books, ("writer_id", "-title"), cursor=first.next, size=2)
    assert [book.id.int for book in [*first.items, *second.items]] == [5, 3, 1]
    assert second.items[0].writer == writer
    pages = await asyncio.gather(*(keyset_page(Book.all(), size=2) for _ in range(3)))
    assert {tuple(book.id for book in page.items) for page in pages} == {(keys[0], keys[1])}


async def test_nan_and_infinity_are_positions_where_the_database_keeps_them(shelf: Store) -> None:
    if shelf.kind != "postgres":
        pytest.skip("only PostgreSQL keeps them all")
    weights = [None, math.nan, math.inf, -math.inf, 0.0]
    await Book.bulk_create([Book(id=UUID(int=n), title="t", weight=weight) for n, weight in enumerate(weights)])
    ids, cursor = [], None
    for _ in weights:
        page = await keyset_page(Book.all(), ("weight",), cursor=cursor, size=1)
        ids += [book.id.int for book in page.items]
        cursor = page.next
    assert (ids, cursor) == ([3, 4, 2, 1, 0], None)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (("nothing",), "Book has no column 'nothing'"),
        (("writer__name",), "Book has no column 'writer__name'"),
        (("writer", "-writer_id"), "name each column once"),
        (("summary",), r"Book\.summary cannot hold a position"),
        (("extra",), r"Book\.extra cannot hold a position"),
        (("title", "-title"), "name each column once"),
    ],
)
async def test_an_order_without_positions_is_refused(shelf: Store, order: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(SanicBaseError, match=sentence):
        await keyset_page(Book.all(), order, size=1)


async def test_a_cursor_is_good_for_its_own_list_and_order_only(shelf: Store) -> None:
    await Note.bulk_create([Note(text=str(n)) for n in range(4)])
    cursor = (await keyset_page(Note.all(), ("text",), size=2)).next
    assert cursor is not None
    for wrong in [cursor[:-1], cursor + "A", cursor[::-1], "", "=", "é", "A" * 10_000]:
        with pytest.raises(InvalidQuery) as excinfo:
            await keyset_page(Note.all(), ("text",), cursor=wrong, size=2)
        assert (excinfo.value.path, excinfo.value.code) == ("cursor", "invalid_cursor")
    for order in [(), ("-text",), ("text", "-id")]:
        with pytest.raises(InvalidQuery):
            await keyset_page(Note.all(), order, cursor=cursor, size=2)
    with pytest.raises(InvalidQuery):
        await keyset_page(Book.all(), ("title",), cursor=cursor, size=2)
    with pytest.raises(SanicBaseError, match="at least one"):
        await keyset_page(Note.all(), size=0)
