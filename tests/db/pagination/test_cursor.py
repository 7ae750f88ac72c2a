"""Whatever comes back as a cursor is one that was given out, or an InvalidQuery."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sanicbase import InvalidQuery, keyset_page
from sanicbase.db.pagination.cursor import decode_cursor, encode_cursor
from sanicbase.db.pagination.keyset import unique_order
from tests.db.opening import Store, opened
from tests.db.shelf import Book

quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

ORDER = ("weight", "-title", "printed_at", "price", "rank", "lent", "genre", "grade", "reading_time", "bought_on")

contents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
suspects = st.sampled_from(
    ["\0", "\ud800", "novel", "NaN", "-Infinity", "1e999999", "0.001", "99999999999999999999", "x" * 31]
) | st.sampled_from(
    ["9999-12-31T23:59:59.999999-14:00", "0001-01-01T00:00:00+14:00", "0001-01-01", "P1D", "P999999999D", "0" * 32]
)
where = st.sampled_from([">", ">=", "<", "<=", "=", 1, None])


GOOD: list[Any] = [">", 1.0, "t", None, None, None, None, None, None, None, None, str(UUID(int=1))]
WRONG: dict[str, list[tuple[int, object]]] = {
    "another type": [(0, "="), (1, "1.0"), (2, 7), (2, None), (5, True), (5, 1.5), (6, 1), (11, None), (11, "1")],
    "out of range": [
        (2, "x" * 31),
        (3, "0001-01-01T00:00:00+14:00"),
        (4, "1e500"),
        (4, "0.001"),
        (5, 2**31),
        (7, "prose"),
        (8, 3),
        (9, "P999999999D"),
        (10, "2024-02-30"),
    ],
}


@pytest.fixture
async def shelf(store: Store) -> AsyncIterator[Store]:
    async with opened(store, "tests.db.shelf"):
        await Book.bulk_create([Book(id=UUID(int=n), title="t", weight=n) for n in range(4)])
        yield store


async def rows_or_refusal(cursor: str) -> list[Book] | None:
    try:
        return list((await keyset_page(Book.all(), ORDER, cursor=cursor, size=2)).items)
    except InvalidQuery:
        return None


def encode(value: object) -> bytes:
    """JSON as a forger writes it, with what JSON does not have."""
    return json.dumps(value).encode()


def own_scope() -> str:
    return "\0".join([Book._meta.db_table, *unique_order(Book, ORDER)])


@given(st.binary(max_size=200), st.text(max_size=20))
def test_a_payload_comes_back_as_it_was_for_the_same_list_only(payload: bytes, scope: str) -> None:
    cursor = encode_cursor(payload, scope)
    assert decode_cursor(cursor, scope) == payload
    assert cursor.isascii()
    assert cursor.replace("-", "a").replace("_", "a").isalnum()
    with pytest.raises(InvalidQuery):
        decode_cursor(cursor, scope + "x")


@given(
    st.text() | st.text("ABab01-_=", max_size=40) | st.binary(max_size=40).map(lambda b: urlsafe_b64encode(b).decode())
)
def test_text_that_was_never_given_out_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        decode_cursor(text, "list")


@given(st.data())
def test_a_cursor_that_was_changed_is_refused(data: Any) -> None:
    cursor = encode_cursor(data.draw(st.binary(max_size=30)), "list")
    index = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from("ABCQgw0-_=+/ é\n\0"))
    changed = data.draw(
        st.sampled_from(
            [
                cursor[:index],
                cursor[:index] + other + cursor[index + 1 :],
                cursor[:index] + other + cursor[index:],
                cursor + other,
                cursor + "=",
                cursor + cursor,
            ]
        )
    )
    if changed != cursor:
        with pytest.raises(InvalidQuery):
            decode_cursor(changed, "list")


@quick
@given(st.binary(max_size=60) | (contents | st.tuples(where, contents)).map(lambda value: encode(value)))
async def test_a_forged_cursor_with_any_payload_is_refused(shelf: Store, payload: bytes) -> None:
    assert await rows_or_refusal(encode_cursor(payload, own_scope())) is None


@quick
@given(st.data())
async def test_a_forged_cursor_with_any_values_is_a_position_or_refused(shelf: Store, data: Any) -> None:
    good = list(GOOD)
    for _ in range(data.draw(st.integers(0, 2))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(suspects | contents | where)
    payload = encode(good[: data.draw(st.sampled_from([len(good), len(good) - 1, 1]))])
    rows = await rows_or_refusal(encode_cursor(payload, own_scope()))
    assert rows is None or len(rows) <= 2


@pytest.mark.parametrize("kind", ["another type", "out of range"])
async def test_a_value_that_its_column_cannot_have_is_refused(shelf: Store, kind: str) -> None:
    assert await rows_or_refusal(encode_cursor(encode(GOOD), own_scope())) is not None
    for index, value in WRONG[kind]:
        values = [*GOOD[:index], value, *GOOD[index + 1 :]]
        assert await rows_or_refusal(encode_cursor(encode(values), own_scope())) is None, (index, value)


async def test_columns_that_a_database_cannot_compare_are_refused_there(shelf: Store) -> None:
    values = [*GOOD[:2], "a\0", *GOOD[3:]]
    refused = await rows_or_refusal(encode_cursor(encode(values), own_scope())) is None
    assert refused == (shelf.kind == "postgres")
    values[1:3] = [float("inf"), "a"]
    refused = await rows_or_refusal(encode_cursor(encode(values), own_scope())) is None
    assert refused == (shelf.kind in ("aiomysql", "asyncmy"))
