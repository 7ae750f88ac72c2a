"""What comes back from Redis is what was loaded, whatever its type; what would not come back is not stored."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, ConfigDict, Field, JsonValue, Secret, SecretBytes, SecretStr

from sanicbase import SanicBaseError, get_redis
from sanicbase.cache.options import fingerprint
from sanicbase.cache.serialization import dump_json, dump_lossless, load_json
from tests.cache.kept import KEPT, Kept, MomentRC, PriceRC, TrimmedRC, kept_class
from tests.cache.opening import library
from tests.db.library import Book


@pytest.fixture(autouse=True)
def no_leftovers(frozen: None) -> Iterator[None]:
    """A class lives on until it is collected, and the next library would open it."""
    yield
    gc.collect()


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
def test_a_value_is_stored_only_when_it_comes_back_as_it_was(kept: Kept) -> None:
    cls: Any = kept_class("ValueRC", kept.kind, kept.value)
    entry = cls(id=1, value=kept.value)
    raw = dump_lossless(entry, cls)
    assert (raw is not None) == kept.kept
    if raw is not None:
        again = load_json(cls, raw)
        assert (again, type(again.value)) == (entry, type(entry.value))


async def test_every_type_reads_the_same_from_its_source_and_from_redis(db_url: str, redis_url: str) -> None:
    classes = {name: kept_class(f"V{number}RC", *kept[:2]) for number, (name, kept) in enumerate(KEPT.items())}
    async with library(db_url, redis_url):
        for name, cls in classes.items():
            loaded, *again = [await cls.get(1) for _ in range(3)]
            assert loaded is not None
            assert all(map(alike(loaded), again)), name
            stats = await cls.stats()
            assert (stats.hits, stats.lossy, stats.corrupt, stats.waits) == (
                (2, 0, 0, 0) if KEPT[name].kept else (0, 1, 0, 0)
            ), name


def alike(one: Any) -> Any:
    return lambda other: other == one or (other.value != other.value and one.value != one.value)


class Suit(Enum):
    HEARTS = "h"
    SPADES = 2


TYPES: list[Any] = [
    int,
    bool,
    Decimal,
    date,
    datetime,
    time,
    timedelta,
    UUID,
    Suit,
    JsonValue,
    int | None,
    list[date],
    set[int],
    tuple[int, Decimal],
    dict[str, timedelta],
    dict[int, UUID],
]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_usual_types_come_back_whatever_their_value(kind: Any) -> None:
    cls: Any = kept_class("AnyRC", kind, None)
    json = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))

    @settings(max_examples=40, deadline=None)
    @given(json if kind is JsonValue else st.from_type(kind).filter(ordinary))
    def check(value: Any) -> None:
        entry = cls(id=1, value=value)
        assert load_json(cls, dump_json(entry)) == entry

    check()


def ordinary(value: Any) -> bool:
    """Whether pydantic takes it: no decimal that is none, no time whose zone has seconds."""
    if isinstance(value, tuple):
        return all(map(ordinary, value))
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, datetime | time):
        return value.tzinfo is None
    return True


async def test_a_class_is_kept_by_the_names_of_its_fields(shelves: None) -> None:
    entries = [await TrimmedRC.get(1) for _ in range(2)]
    assert entries == [TrimmedRC(Id=1, theName="ann")] * 2
    assert (await TrimmedRC.stats()).hits == 1
    assert entries[1] is not None
    assert entries[1].model_dump() == {"Id": 1, "theName": "ann", "length": 3}


async def test_a_row_is_read_by_the_names_of_the_fields_too(shelves: None) -> None:
    await Book.create(slug="a", title="A", price=Decimal("1.50"), facts={"a": [1, None, True]})
    loaded, again = await PriceRC.get(1), await PriceRC.get(1)
    assert loaded is not None
    assert loaded == again
    assert (loaded.title, loaded.price, loaded.facts) == ("A", Decimal("1.50"), {"a": [1, None, True]})
    assert (await PriceRC.stats()).hits == 1


async def test_the_log_names_the_field_once_and_no_value(shelves: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "sanicbase.cache")

    for key in (1, 2):
        await MomentRC.get(key)
    (record,) = caplog.records
    assert "'value' of type str becomes another datetime" in record.message
    assert "of MomentRC a type" in record.message
    assert "2024" not in record.message


@pytest.mark.parametrize("kind", [SecretStr, SecretBytes, Secret[int], SecretStr | None, list[SecretStr]], ids=str)
def test_a_secret_is_refused_where_the_class_is_written(kind: Any) -> None:
    with pytest.raises(SanicBaseError, match=r"ValueRC: 'value' is a secret, which is not written in JSON\. Leave"):
        kept_class("ValueRC", kind, None)


def test_a_field_that_is_excluded_is_refused_where_the_class_is_written() -> None:
    with pytest.raises(SanicBaseError, match=r"ValueRC: 'value' has exclude=True, .*model_dump\(exclude="):
        kept_class("ValueRC", Annotated[int, Field(exclude=True)], 1)


def upper(text: str) -> str:
    return text.upper()


def test_another_shape_is_also_another_validator_another_config_and_another_body() -> None:
    lower = kept_class("ValueRC", Annotated[str, AfterValidator(str.lower)], "x")
    shapes = [
        kept_class("ValueRC", str, "x"),
        lower,
        kept_class("ValueRC", Annotated[str, AfterValidator(str.strip)], "x"),
        kept_class("ValueRC", Annotated[str, AfterValidator(upper)], "x"),
        kept_class("ValueRC", Annotated[str, AfterValidator(lambda text: text + "a")], "x"),
        kept_class("ValueRC", Annotated[str, AfterValidator(lambda text: text + "b")], "x"),
        kept_class("ValueRC", str, "x", model_config=ConfigDict(str_strip_whitespace=True)),
        kept_class("ValueRC", bytes, b"x"),
        kept_class("ValueRC", bytes, b"x", model_config=ConfigDict(val_json_bytes="base64", ser_json_bytes="base64")),
        kept_class("ValueRC", tuple[int, ...], ()),
        kept_class("ValueRC", list[int], []),
        kept_class("ValueRC", frozenset[int], []),
        kept_class("ValueRC", set[int], []),
    ]
    assert len({fingerprint(cls) for cls in shapes}) == len(shapes)
    again = kept_class("ValueRC", Annotated[str, AfterValidator(str.lower)], "x")
    assert fingerprint(again) == fingerprint(lower)


async def test_an_entry_of_another_shape_is_not_read(db_url: str, redis_url: str) -> None:
    for validator, expected in ((str.lower, "abc"), (str.upper, "ABC"), (str.strip, "aBc")):
        cls: Any = kept_class("ShapeRC", Annotated[str, AfterValidator(validator)], "aBc")
        async with library(db_url, redis_url, schema=False):
            assert [(await cls.get(1)).value for _ in range(2)] == [expected] * 2
            assert (await get_redis().keys("library:rc:ShapeRC:v:*:k:1")) != []
        del cls
        gc.collect()
