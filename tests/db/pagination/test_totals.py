"""The total of a page is counted, estimated or left out, as the list's class declares and the request asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tortoise.connection import get_connection

from sanicbase import InvalidQuery, KeysetQuery, OffsetQuery, PageQuery, SanicBaseError
from sanicbase.db.engine.session_state import is_plain
from sanicbase.db.pagination import EstimatedPage, Page
from sanicbase.db.pagination.totals import estimated_total
from sanicbase.db.routing import is_select
from tests.db.opening import Store, opened
from tests.db.shelf import Note

ROWS = 3000
ANALYZE = {"postgres": "ANALYZE note", "aiomysql": "ANALYZE TABLE note", "asyncmy": "ANALYZE TABLE note"}


class CountedQuery(PageQuery):
    class Meta:
        source = Note
        filters = ("text", "id__lt", "id__in")
        orders = ("id",)
        default_order = "id"


class AnyQuery(PageQuery):
    class Meta:
        source = Note
        filters = ("text", "id__lt", "id__in")
        orders = ("id",)
        default_order = "id"
        total = ("estimate", "exact", "none")


class UncountedQuery(OffsetQuery):
    class Meta:
        source = Note
        orders = ("id",)
        default_order = "id"
        total = "none"


@pytest.fixture
async def notes(store: Store) -> AsyncIterator[list[str]]:
    """The statements of a test, over a table whose statistics are current."""
    async with opened(store, "tests.db.shelf"):
        await Note.bulk_create([Note(id=number, text=str(number % 10)) for number in range(1, ROWS + 1)])
        client: Any = get_connection("default")
        if store.kind in ANALYZE:
            await client.execute_query(ANALYZE[store.kind])
        statements: list[str] = []
        query = client.execute_query

        async def noting(sql: str, values: Any = None) -> Any:
            statements.append(sql.split(" ", 1)[0] if "COUNT(" not in sql else "COUNT")
            return await query(sql, values)

        client.execute_query = noting
        try:
            yield statements
        finally:
            del client.execute_query


def parsed(cls: type[Any], **arguments: str) -> Any:
    return cls.parse({name: [value] for name, value in arguments.items()})


async def test_total_is_counted_by_default(notes: list[str]) -> None:
    page = await parsed(CountedQuery, text="3").fetch(Note.all())
    assert (type(page), page.total, len(page.items)) == (Page, 300, 20)
    assert notes == ["SELECT", "COUNT"]


async def test_total_is_what_the_optimizer_expects(notes: list[str], store: Store) -> None:
    page = await parsed(AnyQuery).fetch(Note.all())
    assert type(page) is EstimatedPage
    if store.kind == "sqlite":  # which has no estimate
        assert (page.total, page.estimated, notes) == (ROWS, False, ["SELECT", "COUNT"])
    else:
        assert page.total == pytest.approx(ROWS, rel=0.2)
        assert page.estimated
        assert "COUNT" not in notes


async def test_estimate_follows_the_filters(notes: list[str], store: Store) -> None:
    page = await parsed(AnyQuery, id__lt="301").fetch(Note.all())
    assert page.total == pytest.approx(300, rel=0.2)
    assert page.estimated == (store.kind != "sqlite")


async def test_request_chooses_what_the_list_allows(notes: list[str]) -> None:
    page = await parsed(AnyQuery, total="exact").fetch(Note.all())
    assert (type(page), page.total, page.estimated) == (EstimatedPage, ROWS, False)
    notes.clear()
    page = await parsed(AnyQuery, total="none").fetch(Note.all())
    assert (page.total, page.estimated, notes) == (None, False, ["SELECT"])
    assert page.map(lambda row: row.id).items == list(range(1, 21))
    assert type(page.map(lambda row: row.id)) is EstimatedPage


async def test_total_that_is_left_out_costs_no_statement(notes: list[str]) -> None:
    page = await parsed(UncountedQuery, offset="20", limit="5").fetch(Note.all())
    assert ([row.id for row in page.items], page.total) == ([21, 22, 23, 24, 25], None)
    assert notes == ["SELECT"]


@pytest.mark.parametrize("total", ["exact", "estimate", "none"])
async def test_last_page_knows_the_total(notes: list[str], total: str) -> None:
    page = await parsed(AnyQuery, total=total, page="150", size="20").fetch(Note.filter(id__gt=5))
    assert (len(page.items), page.total, page.estimated, notes) == (15, ROWS - 5, False, ["SELECT"])
    page = await parsed(AnyQuery, total=total, id__in="0").fetch(Note.all())
    assert (list(page.items), page.total, page.estimated) == ([], 0, False)


async def test_page_behind_the_end_counts(notes: list[str]) -> None:
    page = await parsed(CountedQuery, page="1000").fetch(Note.all())
    assert (list(page.items), page.total) == ([], ROWS)


async def test_estimate_is_at_least_what_was_seen(
    notes: list[str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(queryset: object) -> int:
        return 0

    monkeypatch.setattr("sanicbase.db.pagination.queries.estimated_total", none)
    page = await parsed(AnyQuery, page="3").fetch(Note.all())
    assert (page.total, page.estimated) == (60, True)


@pytest.mark.parametrize(
    ("cls", "arguments", "path"),
    [
        (AnyQuery, {"total": "some"}, "total"),
        (AnyQuery, {"total": "EXACT"}, "total"),
        (CountedQuery, {"total": "exact"}, "total"),
        (UncountedQuery, {"total": "exact"}, "total"),
    ],
)
def test_other_totals_are_refused(cls: type[Any], arguments: dict[str, str], path: str) -> None:
    with pytest.raises(InvalidQuery) as excinfo:
        parsed(cls, **arguments)
    assert [mistake.path for mistake in excinfo.value.errors] == [path]


def test_repeated_total_is_refused() -> None:
    with pytest.raises(InvalidQuery, match="must not be repeated"):
        AnyQuery.parse({"total": ["exact", "none"]})


@pytest.mark.parametrize("declared", ["some", (), ("exact", "exact"), ("exact", "some"), None, 1])
def test_wrong_declaration_is_refused(declared: Any) -> None:
    with pytest.raises(SanicBaseError, match=r"Wrong: total is .* Set one of 'exact', 'estimate', 'none'"):

        class Wrong(PageQuery):
            class Meta:
                source = Note
                total = declared


def test_pages_with_cursors_have_no_total() -> None:
    with pytest.raises(SanicBaseError, match="pages with cursors have no total"):

        class Wrong(KeysetQuery):
            class Meta:
                source = Note
                total = "none"


async def test_estimate_of_joined_tables_and_of_nothing(notes: list[str], store: Store) -> None:
    if store.kind == "sqlite":
        assert await estimated_total(Note.all()) is None
        return
    assert await estimated_total(Note.filter(id=ROWS + 1)) in (0, 1)
    assert await estimated_total(Note.filter(id__in=[1, 2, 3])) == 3


def test_explain_of_a_select_changes_nothing_and_goes_where_selects_go() -> None:
    for prefix in ("EXPLAIN ", "EXPLAIN EXTENDED ", "EXPLAIN (FORMAT JSON) "):
        assert is_select(f'{prefix}SELECT "a" FROM "b"')
        assert not is_select(f'{prefix}INSERT INTO "b" VALUES (1)')
    assert not is_select("EXPLAIN ANALYZE SELECT 1")
    assert is_plain('EXPLAIN (FORMAT JSON) SELECT "a" FROM "b" WHERE "c"=$1')
    for statement in (
        "SELECT f(1)",
        "INSERT INTO b VALUES (1)",
        "SELECT 1; SET x = 1",
        "EXPLAIN (FORMAT JSON) SELECT 1",
    ):
        assert not is_plain(f"EXPLAIN (FORMAT JSON) {statement}")
    assert not is_plain("EXPLAIN (ANALYZE) SELECT 1")
