"""Keys: two of them have one text only when they are the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase.cache.keys import MAX_LENGTH, encode_key


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    ONE = 1


class Kind(Enum):
    RED = "red"


odd_texts = st.sampled_from(
    ["", "~", "~" + "0" * 40, "1", "-1", "True", "None", "@bool=True", "=", "=a", "a,b", ",", "%3A"]
)
zones = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
values = st.one_of(
    st.text(max_size=60),
    odd_texts,
    st.integers(),
    st.integers().map(str),
    st.booleans(),
    st.none(),
    st.uuids(),
    st.uuids().map(str),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=zones),
    st.decimals(allow_nan=False),
    st.floats(allow_nan=False),
    st.sampled_from([Colour.RED, Size.ONE, Kind.RED, "red", 1]),
)
keys = st.lists(values, min_size=1, max_size=3).map(tuple)


def are_same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return one == other and list(map(type, one)) == list(map(type, other))


@given(keys, keys)
def test_keys_have_one_text_when_they_are_the_same_and_only_then(
    one: tuple[object, ...], other: tuple[object, ...]
) -> None:
    assert (encode_key(one) == encode_key(other)) == are_same(one, other)


@given(keys)
def test_a_text_is_short_and_no_key_is_another_ones_text(key: tuple[object, ...]) -> None:
    text = encode_key(key)
    assert len(text) <= MAX_LENGTH
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set(":* ")
    if (text,) != key:
        assert encode_key((text,)) != text


@given(st.datetimes(), zones, zones)
def test_a_moment_has_one_text_in_every_zone(moment: datetime, one: timezone, other: timezone) -> None:
    in_zone = moment.replace(tzinfo=one)
    try:
        same_moment = in_zone.astimezone(other)
    except OverflowError:  # next to the first year and the last there is no such datetime, and a text all the same
        same_moment = in_zone
    assert encode_key((in_zone,)) == encode_key((same_moment,)) != encode_key((moment,))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(Decimal("1.50"), Decimal("1.5"), id="zeros"),
        pytest.param(Decimal("1E+2"), Decimal(100), id="exponents"),
        pytest.param(Decimal("-0"), Decimal(0), id="decimal zeros"),
        pytest.param(-0.0, 0.0, id="zeros of floats"),
        pytest.param(UUID(int=1), UUID(str(UUID(int=1))), id="uuids"),
    ],
)
def test_equal_values_have_one_text(one: object, other: object) -> None:
    assert encode_key((one,)) == encode_key((other,))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(("1",), (1,), id="text and number"),
        pytest.param((True,), (1,), id="true and one"),
        pytest.param(("",), (None,), id="empty and missing"),
        pytest.param(("", ""), ("",), id="two and one"),
        pytest.param(("a,b",), ("a", "b"), id="a comma"),
        pytest.param((Decimal(10**40 + 1),), (Decimal(10**40),), id="many digits"),
        pytest.param((10**5000,), (10**5000 + 1,), id="many more"),
        pytest.param(("中" * 11,), (encode_key(("中" * 11,)),), id="a digest"),
        pytest.param((date(2026, 1, 1),), ("2026-01-01",), id="a date"),
        pytest.param((datetime(2026, 1, 1, tzinfo=UTC),), (datetime(2026, 1, 1),), id="no zone"),  # noqa: DTZ001
        pytest.param((Colour.RED,), ("red",), id="an enumeration"),
    ],
)
def test_other_values_have_other_texts(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    assert encode_key(one) != encode_key(other)
