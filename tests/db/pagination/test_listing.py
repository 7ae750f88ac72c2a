"""What a request may ask of a list is declared in a class; anything else is an InvalidQuery, not an error below."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tortoise import fields
from tortoise.models import Model

from sanicbase import InvalidQuery, KeysetQuery, PageQuery, SanicBaseError
from sanicbase.db.pagination.filters import Filter
from tests.db.opening import Store, opened
from tests.db.shelf import Book, Genre, Grade, Note, Writer

COLUMNS = ["title", "subtitle", "rank", "pages", "sold", "price", "weight", "printed_at", "bought_on", "reading_time"]
COLUMNS += ["lent", "genre", "grade", "summary", "writer_id", "id"]
TEXTUAL = ["contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "iexact"]


class BookQuery(PageQuery):
    class Meta:
        source = Book
        filters = (
            *COLUMNS,
            *(f"{name}__{operator}" for name in COLUMNS for operator in ("not", "in", "not_in", "isnull")),
            *(f"{name}__{op}" for name in COLUMNS if name not in ("lent", "id") for op in ("gt", "gte", "lt", "lte")),
            *(f"{name}__{operator}" for name in ("title", "genre", "summary") for operator in TEXTUAL),
            *("writer__name", "writer__name__icontains", "writer__id__in", "extra__isnull"),
        )
        orders = ("title", "rank", "summary", "writer_id")
        default_order = ("-title", "rank")
        size = 5
        max_size = 50


class NoteQuery(KeysetQuery):
    class Meta:
        source = Note
        filters = ("text__icontains", "id__in")
        orders = ("text",)


class RelatedQuery(KeysetQuery):
    class Meta:
        source = Book
        filters = ("writer", "writer__not", "writer__in", "writer__not_in", "writer__isnull", "writer__gte")
        orders = ("writer", "rank")
        default_order = "-writer"


@pytest.fixture
async def shelf(store: Store) -> AsyncIterator[Store]:
    async with opened(store, "tests.db.shelf"):
        yield store


def parse_query(cls: Any = BookQuery, **arguments: str | list[str]) -> Any:
    return cls.parse({name: value if isinstance(value, list) else [value] for name, value in arguments.items()})


def refused(cls: Any = BookQuery, **arguments: str | list[str]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidQuery) as excinfo:
        parse_query(cls, **arguments)
    assert all(str(error) for error in excinfo.value.errors)
    return [(error.path, error.code) for error in excinfo.value.errors]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("title", "a,b", "a,b"),
        ("title", " ", " "),
        ("rank", "-7", -7),
        ("rank__in", "1,2", [1, 2]),
        ("rank__in", ["1", "2"], [1, 2]),
        ("title__in", ["a,b", "c"], ["a,b", "c"]),
        ("title__in", "a,b", ["a", "b"]),
        ("price__lt", "1.5", Decimal("1.5")),
        ("weight", "1e-3", 0.001),
        ("lent", "yes", True),
        ("lent__isnull", "0", False),
        ("printed_at__gte", "2024-01-01", datetime(2024, 1, 1, tzinfo=UTC)),
        ("printed_at__gte", "2024-01-01T12:00:00", datetime(2024, 1, 1, 12, tzinfo=UTC)),
        ("printed_at__gte", "2024-01-01T12:00:00.000001+02:00", datetime(2024, 1, 1, 10, 0, 0, 1, UTC)),
        ("bought_on", "2024-02-29", date(2024, 2, 29)),
        ("reading_time__lt", "PT1H", timedelta(hours=1)),
        ("genre__in", "novel,poem", [Genre.NOVEL, Genre.POEM]),
        ("grade", "2", Grade.GOOD),
        ("id", "00000000000000000000000000000001", UUID(int=1)),
        ("order", "-rank,title", ("-rank", "title")),
        ("order", ["rank", "title"], ("rank", "title")),
    ],
)
def test_text_becomes_what_the_column_has(name: str, text: str | list[str], value: object) -> None:
    parsed = getattr(parse_query(**{name: text}), name)
    assert (type(parsed), parsed) == (type(value), value)


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("titel", "x", "unknown_parameter"),
        ("titel", "", "unknown_parameter"),
        ("title__regex", "x", "unknown_parameter"),
        ("model_config", "x", "unknown_parameter"),
        ("page", "0", "greater_than_equal"),
        ("page", "-1", "greater_than_equal"),
        ("page", "x", "int_parsing"),
        ("page", "200001", "less_than_equal"),
        ("page", "9" * 5000, "int_parsing_size"),
        ("page", ["1", "2"], "repeated"),
        ("size", "0", "greater_than_equal"),
        ("size", "51", "less_than_equal"),
        ("order", "pages", "unknown_order"),
        ("order", "--title", "unknown_order"),
        ("order", "title;drop", "unknown_order"),
        ("title", "x" * 31, "string_too_long"),
        ("title", "a\0", "nul_character"),
        ("title", "\ud800", "string_unicode"),
        ("title", ["a", "b"], "repeated"),
        ("title__icontains", "x" * 31, "string_too_long"),
        ("title__icontains", "\0", "nul_character"),
        ("summary__contains", "x" * 1001, "string_too_long"),
        ("rank", "1.5", "int_parsing"),
        ("rank", str(2**31), "less_than_equal"),
        ("pages__gt", "-32769", "greater_than_equal"),
        ("sold", str(2**63), "less_than_equal"),
        ("price", "NaN", "finite_number"),
        ("price", "1e500", "decimal_max_digits"),
        ("price", "0.001", "decimal_max_places"),
        ("weight", "inf", "finite_number"),
        ("weight", "nan", "finite_number"),
        ("weight", "1e999", "finite_number"),
        ("printed_at__gte", "yesterday", "datetime_parsing"),
        ("printed_at__gte", "0001-01-01T00:00:00+14:00", "value_error"),
        ("bought_on", "2023-02-29", "date_from_datetime_parsing"),
        ("lent", "perhaps", "bool_parsing"),
        ("genre", "prose", "enum"),
        ("grade", "3", "enum"),
        ("id", "7", "uuid_parsing"),
    ],
)
def test_undeclared_and_invalid_filters_are_refused(name: str, text: str | list[str], code: str) -> None:
    assert refused(**{name: text}) == [(name, code)]


def test_lists_are_bounded_and_each_value_is_looked_at() -> None:
    assert refused(rank__in=",".join(map(str, range(101)))) == [("rank__in", "too_long")]
    assert refused(rank__in="1,x") == [("rank__in.1", "int_parsing")]
    assert refused(rank__in="1,,2") == [("rank__in.1", "int_parsing")]
    assert refused(title__not_in=["a", "b\0"]) == [("title__not_in.1", "nul_character")]


def test_all_errors_are_reported_at_once_with_the_allowed_values() -> None:
    with pytest.raises(InvalidQuery) as excinfo:
        parse_query(NoteQuery, titel="x", order="size", size="1000")
    messages = {error.path: str(error) for error in excinfo.value.errors}
    assert messages["titel"] == "There is no filter 'titel'. Allowed: cursor, size, order, text__icontains, id__in."
    assert messages["order"] == "There is no order 'size'. Allowed: text, -text."
    assert "100" in messages["size"]
    assert len(refused(**{f"x{n}": "" for n in range(1000)})) == 20


def test_an_empty_value_is_as_good_as_none() -> None:
    query = parse_query(page="", size="", order="", title="", rank="", rank__in=["", ""])
    assert (query.page, query.size, query.order, query.title, query.rank__in) == (1, 5, ("-title", "rank"), None, None)
    assert parse_query(NoteQuery, cursor="").cursor is None


def test_a_class_without_meta_takes_a_page_and_a_size() -> None:
    assert (parse_query(PageQuery, page="2").size, refused(PageQuery, order="id")) == (20, [("order", "unknown_order")])

    class Tagged(PageQuery):
        tag: str | None = None

    class TaggedNotes(Tagged):
        class Meta:
            source = Note
            filters = ("text",)

    query = parse_query(TaggedNotes, tag="x", text="y")
    assert (query.tag, query.text) == ("x", "y")
    with pytest.raises(ValidationError):
        TaggedNotes(page=0)


def test_the_schema_shows_the_filters() -> None:
    properties = BookQuery.model_json_schema()["properties"]
    assert properties["size"] == {"default": 5, "maximum": 50, "minimum": 1, "title": "Size", "type": "integer"}
    assert properties["rank__in"]["anyOf"][0]["items"]["maximum"] == 2**31 - 1
    assert properties["order"]["items"]["enum"][:2] == ["title", "-title"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "declare the model of the list in Meta"),
        ({"source": Note, "filter": ()}, "Meta has no option 'filter'"),
        ({"source": Note, "filters": ("titel",)}, "the filter 'titel' is not possible: Note has no column"),
        ({"source": Note, "filters": ("text__regex",)}, "the filter 'text__regex' is not possible"),
        ({"source": Note, "filters": "text"}, r"filters = \('text',\)"),
        ({"source": Note, "filters": ("text", "text")}, "contains duplicates"),
        ({"source": Note, "filters": ("id__contains",)}, "contains requires text"),
        ({"source": Book, "filters": ("lent__gt",)}, "gt does not apply to lent"),
        ({"source": Book, "filters": ("extra",)}, "JSONField does not support filters"),
        ({"source": Writer, "filters": ("books__title",)}, "has no column or foreign key 'books'"),
        ({"source": Note, "orders": ("titel",)}, "cannot be ordered by 'titel'"),
        ({"source": Note, "orders": ("-text",)}, "without a minus"),
        ({"source": Book, "orders": ("writer__name",)}, "cannot be ordered by 'writer__name'"),
        ({"source": Book, "orders": ("writer", "writer_id")}, "orders name a column twice, by its relation as well"),
        ({"source": Book, "orders": ("extra",)}, "cannot be ordered by 'extra'"),
        ({"source": Note, "default_order": "text"}, "default_order 'text' is not among the orders"),
        ({"source": Note, "size": 101}, "size is 101 and max_size 100"),
        ({"source": Note, "size": 0}, "size is 0"),
    ],
)
def test_a_wrong_declaration_is_refused_at_definition(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SanicBaseError, match=f"^WrongQuery: .*{sentence}"):

        class WrongQuery(PageQuery):
            Meta: ClassVar[type] = type("Meta", (), options)


def test_a_list_that_is_walked_along_has_orders_that_hold_a_position() -> None:
    with pytest.raises(SanicBaseError, match=r"Book\.summary cannot hold a position"):

        class WrongQuery(KeysetQuery):
            class Meta:
                source = Book
                orders = ("summary",)


def test_names_that_a_query_has_itself_are_no_filters() -> None:
    with pytest.raises(SanicBaseError, match="'text' cannot be a filter"):

        class WrongQuery(PageQuery):
            text: int = 0

            class Meta:
                source = Note
                filters = ("text",)

    with pytest.raises(SanicBaseError, match="inherits the Meta of another list"):

        class Second(NoteQuery):
            class Meta:
                source = Note


async def test_a_filter_that_leads_nowhere_is_refused_when_the_database_is_opened(tmp_path: Path) -> None:
    store = Store("sqlite", f"sqlite://{tmp_path / 'library.sqlite3'}")
    with pytest.raises(SanicBaseError, match=r"^SaleQuery: the filter 'shop__nme' is not possible: Shop has no column"):
        async with opened(store, "tests.db.astray"):
            pass


async def test_a_relation_to_many_is_no_filter(shelf: Store) -> None:
    for entry in ("writer__books__title", "writer__books"):
        with pytest.raises(SanicBaseError, match="WrongQuery"):
            _ = Filter("WrongQuery", Book, entry).resolved


async def test_a_value_for_a_column_behind_a_relation_is_checked_as_any_other(shelf: Store) -> None:
    assert refused(writer_id="x") == [("writer_id", "int_parsing")]
    assert refused(writer_id=["1", "2"]) == [("writer_id", "repeated")]
    assert refused(writer_id__gt=str(2**31)) == [("writer_id__gt", "less_than_equal")]
    assert refused(writer__name="x" * 41) == [("writer__name", "string_too_long")]
    assert refused(RelatedQuery, writer="x") == [("writer", "int_parsing")]
    assert refused(RelatedQuery, writer__in="1,x") == [("writer__in", "int_parsing")]
    assert refused(RelatedQuery, writer__gte=str(2**31)) == [("writer__gte", "less_than_equal")]
    assert refused(writer__id__in="1,x") == [("writer__id__in", "int_parsing")]
    assert BookQuery.model_json_schema()["properties"]["writer__id__in"]["anyOf"][0]["items"]["type"] == "integer"


def test_filters_by_relations_are_checked_by_the_database() -> None:
    class Loose(Model):
        writer: fields.ForeignKeyRelation[Writer] = fields.ForeignKeyField("library.Writer", related_name=False)

    class LooseQuery(PageQuery):
        class Meta:
            source = Loose
            filters = ("writer__name", "writer_id__in", "writer", "writer__in")
            orders = ("writer",)

    assert parse_query(LooseQuery, page="2").page == 2
    assert LooseQuery.model_json_schema()["properties"]["writer__name"]["default"] is None
    for name in LooseQuery.Meta.filters:
        with pytest.raises(SanicBaseError, match="the database is not open"):
            parse_query(LooseQuery, **{name: "1"})


async def test_a_relation_is_filtered_and_ordered_by_as_its_column(shelf: Store) -> None:
    ann, bob = await Writer.create(name="Ann"), await Writer.create(name="Bob")
    writers = [ann, bob, None]
    await Book.bulk_create([Book(id=UUID(int=n), title="", rank=n, writer=writers[n % 3]) for n in range(6)])
    expected = {"writer": [0, 3], "writer__in": [0, 1, 3, 4], "writer__not": [1, 2, 4, 5], "writer__not_in": [2, 5]}
    expected["writer__isnull"] = [2, 5]
    for name, ranks in expected.items():
        given = f"{ann.id},{bob.id}" if name.endswith("in") else "1" if name.endswith("null") else str(ann.id)
        page = await parse_query(RelatedQuery, **{name: given}).fetch(Book.all())
        assert sorted([book.rank or 0 for book in page.items]) == ranks, name
    first = await parse_query(RelatedQuery, writer__isnull="0", size="3").fetch(Book.all())
    second = await parse_query(RelatedQuery, writer__isnull="0", size="3", cursor=first.next or "").fetch(Book.all())
    assert [book.rank for book in [*first.items, *second.items]] == [4, 1, 3, 0]
    assert second.next is None


async def test_pages_are_filtered_ordered_and_counted(shelf: Store) -> None:
    ann, bob = await Writer.create(name="Ann"), await Writer.create(name="Bob")
    await Book.bulk_create(
        [Book(id=UUID(int=n), title=f"t{n % 3}", rank=n, writer_id=(ann if n % 2 else bob).id) for n in range(9)]
    )
    page = await parse_query(size="2", page="2").fetch(Book.all())
    assert (page.total, [book.rank for book in page.items]) == (9, [8, 1])
    page = await parse_query(writer__name="Ann", order="rank").fetch(Book.filter(rank__gt=1))
    assert (page.total, [book.rank for book in page.items]) == (3, [3, 5, 7])
    page = await parse_query(writer_id=str(ann.id), title__in="t0,t1").fetch(Book.all())
    assert page.map(lambda book: book.rank) == type(page)([1, 7, 3], 3)
    assert (await parse_query(page="200000").fetch(Book.all())).items == []
    with pytest.raises(SanicBaseError, match="is a query of Book, not of Writer"):
        await parse_query().fetch(Writer.all())


async def test_rows_that_share_their_place_are_on_one_page_each(shelf: Store) -> None:
    await Book.bulk_create([Book(id=UUID(int=n), title="same") for n in range(7)])
    pages = [await parse_query(page=str(n), size="3").fetch(Book.all()) for n in (1, 2, 3)]
    assert sorted(book.id.int for page in pages for book in page.items) == list(range(7))


async def test_a_list_is_walked_along_by_its_cursors(shelf: Store) -> None:
    await Note.bulk_create([Note(text=text) for text in "dbcax"])
    first = await parse_query(NoteQuery, size="2", order="-text", id__in="1,2,3,4").fetch(Note.all())
    second = await parse_query(NoteQuery, size="2", order="-text", cursor=first.next).fetch(Note.filter(id__lt=5))
    assert [note.text for note in [*first.items, *second.items]] == ["d", "c", "b", "a"]
    assert second.next is None
    with pytest.raises(InvalidQuery):
        await parse_query(NoteQuery, cursor=first.next).fetch(Note.all())


async def test_wildcards_are_characters_like_others(shelf: Store) -> None:
    texts = ["a\\b", "a%b", "a_b", "axb", "a'b", 'a"b', "\\", "a\\", "%s", "%%", "\\'", "\\%", "a?b", "a*b", "[a]"]
    parts = ["\\", "%", "_", "'", "a\\", "a%", "a_", "\\b", "%b", "_b", '"', "a\\b", "%s", "\\'", "?", "*", "[a]"]
    await Book.bulk_create([Book(id=UUID(int=n), title=text) for n, text in enumerate(texts)])
    meant = {"contains": str.__contains__, "startswith": str.startswith, "endswith": str.endswith, "exact": str.__eq__}
    for operator in TEXTUAL:
        for part in parts:
            page = await parse_query(size="50", **{f"title__{operator}": part}).fetch(Book.all())
            titles = sorted(book.title for book in page.items)
            wanted = sorted(text for text in texts if meant[operator.removeprefix("i")](text, part))
            assert titles == wanted, (operator, part)


SUSPECTS = ["", "\0", "\ud800", "0", "-1", "1.5", "1e400", "nan", "inf", "true", "null", "\\", "%", "'", '"', "{x}"]
EXTREMES = ["32767", "-2147483648", "9223372036854775807", "-9223372036854775808", "999999.99", "5e-324", "-0.0"]
EXTREMES += ["1.7976931348623157e308", "0001-01-01", "9999-12-31", "0001-01-01T00:00Z", "9999-12-31T23:59:59.999999Z"]
EXTREMES += ["P106751991D", "-P106751991D", "novel,poem", "1,2", str(UUID(int=0)), "\N{CAT FACE}", "x" * 30]

anything = st.text(max_size=12) | st.integers().map(str) | st.floats().map(str) | st.datetimes().map(str)
parameters = st.dictionaries(
    st.sampled_from(sorted(BookQuery.model_fields)) | st.text(max_size=3),
    st.sampled_from([*SUSPECTS, *EXTREMES]).map(lambda text: [text]) | st.lists(anything, min_size=1, max_size=2),
    min_size=1,
    max_size=2,
)


async def rows_or_refusal(arguments: dict[str, list[str]]) -> bool:
    """Whether it was refused; no other exception comes out."""
    try:
        query = BookQuery.parse(arguments)
    except InvalidQuery as exc:
        str([(error.path, error.code, str(error)) for error in exc.errors]).encode()  # as an answer must be
        return True
    assert len((await query.fetch(Book.all())).items) <= 1
    return False


@pytest.fixture
async def one_book(shelf: Store) -> None:
    """A row, for a database may look at a condition only when there is one."""
    await Book.create(id=UUID(int=1), title="1", subtitle="%", rank=1, price=1, weight=1, lent=True, summary="a\\b")


async def test_every_filter_takes_the_extremes_of_its_column(one_book: None) -> None:
    refusals = {
        name: [text for text in [*EXTREMES, *SUSPECTS] if await rows_or_refusal({name: [text]})]
        for name in BookQuery.model_fields
    }
    assert "9223372036854775807" not in refusals["sold__in"] + refusals["title"]
    assert "1.7976931348623157e308" not in refusals["weight__lt"]
    assert "9999-12-31T23:59:59.999999Z" not in refusals["printed_at__not"]
    assert "P106751991D" not in refusals["reading_time__gte"]
    assert all("\0" in texts and "\ud800" in texts for texts in refusals.values())


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parameters)
async def test_every_query_returns_rows_or_is_refused(one_book: None, arguments: dict[str, list[str]]) -> None:
    await rows_or_refusal(arguments)
