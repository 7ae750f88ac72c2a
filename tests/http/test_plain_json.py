"""orjson writes dictionaries of scalars as pydantic does, or leaves them to pydantic."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tortoise.timezone import get_default_timezone

from sanicbase.http.plain_json import plain_writer

Scalar = str | int | float | bool | datetime | date | UUID | None

ZONES = st.sampled_from(
    [
        None,
        UTC,
        ZoneInfo("UTC"),
        get_default_timezone(),
        ZoneInfo("Europe/Amsterdam"),
        timezone(timedelta(seconds=1916)),
    ]
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.datetimes(timezones=ZONES),
    st.dates(),
    st.uuids(),
)
ROWS = st.lists(st.dictionaries(st.text(), VALUES, max_size=6), max_size=6)

rows_adapter: Any = TypeAdapter(list[dict[str, Scalar]])


class Colour(enum.StrEnum):
    RED = "red"


def by_pydantic(value: object) -> bytes | None:
    try:
        written: bytes = rows_adapter.serializer.to_json(value, by_alias=True, warnings="error")
    except Exception:
        return None
    return written


@settings(deadline=None, max_examples=300)
@given(ROWS)
def test_bytes_are_those_of_pydantic(rows: list[dict[str, Any]]) -> None:
    for annotation in (list[dict[str, Scalar]], list[dict[str, Any]]):
        writer = plain_writer(annotation)
        assert writer is not None
        assert writer(rows) in (None, by_pydantic(rows))


def test_rows_of_a_table_are_written_by_orjson() -> None:
    rows = [{"id": 1, "name": "中\x00", "at": datetime(2026, 1, 1, tzinfo=get_default_timezone()), "ratio": 1e22}]
    for value, annotation in (rows, list[dict[str, int | str | datetime | float]]), (rows[0], dict[str, Any]):
        writer = plain_writer(annotation)
        assert writer is not None
        assert writer(value) is not None


@pytest.mark.parametrize(
    "value", [1.5, Colour.RED, b"1", [1], {"a": 1}, 2**70, "\ud800", object(), datetime.now(ZoneInfo("Asia/Tokyo"))]
)
def test_other_values_are_left_to_pydantic(value: object) -> None:
    writer = plain_writer(list[dict[str, int | str | datetime]])
    assert writer is not None
    assert writer([{"a": value}]) is None
    assert isinstance(value, dict) or writer([{"a": 1}, value]) is None


@pytest.mark.parametrize(
    "annotation", [list[int], dict[int, str], dict[str, list[int]], list[dict[str, bytes]], str, dict]
)
def test_other_annotations_are_left_to_pydantic(annotation: Any) -> None:
    assert plain_writer(annotation) is None
