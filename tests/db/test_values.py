"""What a column has for what it is given: the same by every verb, in every condition, and in what watchers hear."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from copy import copy
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tortoise.connection import get_connection
from tortoise.expressions import F

from sanicbase.db.observers import Write, unwatch, watch
from sanicbase.db.values import column_value, is_valid_value
from sanicbase.errors import InvalidValue
from tests.db.every import Colour, Every, Size
from tests.db.opening import Store, opened

UID = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
SHANGHAI = timezone(timedelta(hours=8))


class Name(StrEnum):
    ANN = "ann"


class Rank(IntEnum):
    FIRST = 1


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


KEPT: list[tuple[str, Any, Any]] = [
    ("number", "12", 12),
    ("number", " -7 ", -7),
    ("number", Decimal("12.0"), 12),
    ("number", Rank.FIRST, 1),
    ("big", str(2**63 - 1), 2**63 - 1),
    ("char", UID, str(UID)),
    ("char", 12, "12"),
    ("char", Name.ANN, "ann"),
    ("text", Rank.FIRST, "1"),
    ("flag", "false", False),
    ("flag", "true", True),
    ("flag", 0, False),
    ("price", "778.50", Decimal("778.5000")),
    ("price", 779, Decimal("779.0000")),
    ("price", 777.005, Decimal("777.0050")),
    ("price", Decimal("1E+2"), Decimal("100.0000")),
    ("price", Decimal("-0"), Decimal("0.0000")),
    ("ratio", 3, 3.0),
    ("ratio", "2.5", 2.5),
    ("ratio", Decimal("0.1"), 0.1),
    ("at", "2026-02-28T23:59:59Z", datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)),
    ("at", datetime(2026, 3, 1, 7, tzinfo=SHANGHAI), datetime(2026, 2, 28, 23, tzinfo=UTC)),
    ("at", datetime(2026, 3, 1, 7), datetime(2026, 3, 1, 7, tzinfo=UTC)),  # noqa: DTZ001
    ("at", date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)),
    ("day", "2026-03-01", date(2026, 3, 1)),
    ("day", datetime(2026, 3, 1, tzinfo=UTC), date(2026, 3, 1)),
    ("hour", "09:30", time(9, 30, tzinfo=UTC)),
    ("hour", time(9, 30, tzinfo=SHANGHAI), time(1, 30, tzinfo=UTC)),
    ("span", "P1DT2H", timedelta(days=1, hours=2)),
    ("uid", str(UID), UID),
    ("uid", str(UID).upper(), UID),
    ("uid", UID.hex, UID),
    ("uid", f"{{{UID}}}", UID),
    ("blob", bytearray(b"ab"), b"ab"),
    ("blob", memoryview(b"ab"), b"ab"),
    ("size", 2, Size.LARGE),
    ("size", "1", Size.SMALL),
    ("colour", "red", Colour.RED),
    ("data", '{"a": 1}', {"a": 1}),
    ("data", (1, {"b": (2,)}), [1, {"b": [2]}]),
    ("data", OrderedDict(a=1), {"a": 1}),
    ("data", [2**64 - 1, -(2**63)], [2**64 - 1, -(2**63)]),
    ("data", nested(31), nested(31)),
]
LOOP: list[Any] = []
LOOP.append(LOOP)
REFUSED: list[tuple[str, Any, str]] = [
    *(
        (name, value, "wrong_type")
        for name in ("number", "small", "big")
        for value in (True, 1.0, 1.5, "1.0", "x", {1})
    ),
    *((name, 2**70, "out_of_range") for name in ("number", "small", "big")),
    ("number", "2147483648", "out_of_range"),
    ("number", Decimal("1.5"), "wrong_type"),
    ("number", Decimal("1E+1000000"), "out_of_range"),
    ("number", Decimal("NaN"), "wrong_type"),
    *((name, value, "wrong_type") for name in ("char", "text") for value in (True, 1.5, {1}, b"x", [1], Decimal(1))),
    *(("flag", value, "wrong_type") for value in ("maybe", 2, 1.0, {1})),
    *(("price", value, "wrong_type") for value in (True, "dear", {1}, b"1")),
    *(("price", value, "out_of_range") for value in ("1.00005", 0.1 + 0.2, 10**14, Decimal("1E+1000000"))),
    *(("price", value, "not_finite") for value in (math.nan, math.inf, Decimal("NaN"), "-Infinity")),
    *(("ratio", value, "wrong_type") for value in (True, "x", {1}, 2**53 + 1)),
    ("ratio", 10**400, "out_of_range"),
    *(("ratio", value, "not_finite") for value in (math.nan, math.inf, "nan", Decimal("Infinity"))),
    *(("at", value, "wrong_type") for value in ("x", 5, 1.5, True, time(1))),
    ("at", datetime.max.replace(tzinfo=timezone(timedelta(hours=-8))), "out_of_range"),
    *(("day", value, "wrong_type") for value in ("x", 5, datetime(2026, 3, 1, 1, tzinfo=UTC), "2026-03-01T01:00")),
    *(("hour", value, "wrong_type") for value in ("x", 5, timedelta(days=2), True)),
    *(("span", value, "wrong_type") for value in ("x", 5, "5", 1.5)),
    ("span", timedelta.max, "out_of_range"),
    *(("uid", value, "wrong_type") for value in ("x", 5, b"x" * 16, {1})),
    *(("blob", value, "wrong_type") for value in ("text", 5, [1])),
    *(("size", value, "wrong_type") for value in (3, True, 1.0, "x", {1})),
    *(("colour", value, "wrong_type") for value in ("green", 1, [1])),
    *(
        ("data", value, "wrong_type")
        for value in ({1}, [{1}], {"a": Decimal(1)}, {1: "a"}, [{None: 1}], [UID], "{", '"a"')
    ),
    *(("data", value, "out_of_range") for value in ([2**70], {"a": -(2**63) - 1})),
    *(("data", value, "not_finite") for value in ([math.nan], {"a": {"b": math.inf}})),
    *(("data", value, "too_deep") for value in (nested(32), nested(3000), {"a": nested(3000)}, LOOP)),
]
"""The values of columns that no conversion may lose anything of; the code says what is wrong."""
COMPARABLE = {name for name, _, _ in KEPT} - {"data", "blob"}  # Tortoise filters by neither


class Recorder:
    """Keeps the last value of `name` that was announced."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    async def before_write(self, write: Write) -> None:
        assert write.rows is not None
        self.rows += map(dict, write.rows)

    async def before_commit(self, writes: Sequence[Write]) -> None:
        """Nothing is refused."""

    committed = rolled_back = unknown = before_commit


Verb = Callable[[Every, dict[str, Any]], Awaitable[Any]]
"""Writes the values to the row, or to a new one with its key."""


def assigned(row: Every, values: dict[str, Any]) -> Every:
    row = copy(row)
    for name, value in values.items():
        setattr(row, name, value)
    return row


async def create(row: Every, values: dict[str, Any]) -> None:
    await erased(row)
    await Every.create(id=row.id, **values)


async def save(row: Every, values: dict[str, Any]) -> None:
    await assigned(row, values).save()


async def save_new(row: Every, values: dict[str, Any]) -> None:
    await erased(row)
    await assigned(Every(id=row.id), values).save()


async def save_some(row: Every, values: dict[str, Any]) -> None:
    await assigned(row, values).save(update_fields=list(values))


async def bulk_create(row: Every, values: dict[str, Any]) -> None:
    await erased(row)
    await Every.bulk_create([assigned(Every(id=row.id), values)])


async def bulk_update(row: Every, values: dict[str, Any]) -> None:
    await Every.bulk_update([assigned(row, values)], list(values))


async def update(row: Every, values: dict[str, Any]) -> None:
    await Every.filter(id=row.id).update(**values)


async def update_by_pk(row: Every, values: dict[str, Any]) -> None:
    await Every.update_by_pk(row.id, **values)


async def update_from_dict(row: Every, values: dict[str, Any]) -> None:
    await copy(row).update_from_dict(values).save()


async def upsert(row: Every, values: dict[str, Any]) -> None:
    await Every.upsert({"id": row.id, **values}, on=["id"])


async def bulk_upsert(row: Every, values: dict[str, Any]) -> None:
    await Every.bulk_upsert([assigned(Every(id=row.id), values)], on=["id"])


async def get_or_create(row: Every, values: dict[str, Any]) -> None:
    await erased(row)
    await Every.get_or_create(values, id=row.id)


async def update_or_create(row: Every, values: dict[str, Any]) -> None:
    await Every.update_or_create(values, id=row.id)


async def erased(row: Every) -> None:
    await get_connection("default").execute_query(f"DELETE FROM every WHERE id = {row.id}")  # of which no watcher hears


VERBS: list[Verb] = [
    create, save, save_new, save_some, bulk_create, bulk_update, update, update_by_pk, update_from_dict, upsert,
    bulk_upsert, get_or_create, update_or_create,
]  # fmt: skip


@pytest.fixture(autouse=True)
async def every(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.every"):
        yield


def typed(value: Any) -> tuple[type, Any]:
    return UUID if isinstance(value, UUID) else type(value), value


async def announced_row(verb: Verb, row: Every, values: dict[str, Any]) -> dict[str, Any]:
    """What is announced last of a row."""
    recorder = Recorder()
    watch(Every, recorder, columns=values)
    try:
        await verb(row, values)
    finally:
        unwatch(Every, recorder)
    return recorder.rows[-1]


def rows_of(cases: list[tuple[str, Any, Any]]) -> list[dict[str, tuple[Any, Any]]]:
    """As few rows as there can be, each with one case of a column."""
    rows: list[dict[str, tuple[Any, Any]]] = []
    for name, value, expected in cases:
        row = next((row for row in rows if name not in row), None)
        if row is None:
            rows.append(row := {})
        row[name] = value, expected
    return rows


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
async def test_events_and_reads_have_the_value_of_the_column(verb: Verb) -> None:
    for key, cases in enumerate(rows_of(KEPT), 1):
        row = await Every.create(id=key)
        announced = await announced_row(verb, row, {name: value for name, (value, _) in cases.items()})
        saved = await Every.get(id=key)
        for name, (value, expected) in cases.items():
            assert typed(getattr(saved, name)) == typed(announced[name]) == typed(expected), (name, value)


async def test_an_object_that_was_saved_has_the_columns_own_values() -> None:
    for key, cases in enumerate(rows_of(KEPT), 1):
        row = await Every.create(id=key)
        for name, (value, _) in cases.items():
            setattr(row, name, value)
        await row.save()
        for name, (value, expected) in cases.items():
            assert typed(getattr(row, name)) == typed(expected), (name, value)
            assert typed(getattr(Every(**{name: value}), name)) == typed(expected), (name, value)


async def test_rows_are_found_by_the_values_they_were_created_with() -> None:
    for key, cases in enumerate(rows_of(KEPT), 1):
        await Every.create(id=key, **{name: value for name, (value, _) in cases.items()})
        for form in (0, 1):
            values = {name: case[form] for name, case in cases.items() if name in COMPARABLE}
            assert await Every.filter(id=key, **values).exists()
            assert await Every.filter(id=key, **{f"{name}__in": [value] for name, value in values.items()}).exists()
            for name, value in values.items():
                assert not await Every.filter(**{"id": key, f"{name}__not": value}).exists(), (name, value)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
async def test_invalid_column_values_are_refused_by_name_before_the_write(verb: Verb) -> None:
    row = await Every.create(id=1)
    for name, value, code in REFUSED:
        with pytest.raises(InvalidValue) as excinfo:
            await verb(row, {name: value})
            pytest.fail(f"{name} takes {value!r}")
        assert (excinfo.value.path, excinfo.value.code) == (name, code), (name, value)
    for stored in await Every.all().values():
        assert {name for name, value in stored.items() if value is not None} == {"id"}


async def test_a_bulk_with_one_wrong_row_writes_none() -> None:
    wrong = Every(id=5)
    wrong.number = "many"  # type: ignore[assignment]
    rows = [Every(id=key) for key in range(1, 5)]
    for write in (
        lambda: Every.bulk_create([*rows, wrong], batch_size=1),
        lambda: Every.bulk_upsert([*rows, wrong], on=["id"], batch_size=1),
    ):
        with pytest.raises(InvalidValue, match="'number'"):
            await write()
    assert await Every.all().count() == 0


async def test_a_bulk_with_generated_keys_writes_and_announces_every_type() -> None:
    recorder = Recorder()
    names = sorted({name for name, _, _ in KEPT})
    watch(Every, recorder, columns=names)
    try:
        rows = rows_of(KEPT)
        await Every.bulk_create([assigned(Every(), {name: case[0] for name, case in row.items()}) for row in rows])
    finally:
        unwatch(Every, recorder)
    announced = {row["id"]: row for row in recorder.rows}
    saved = await Every.all().order_by("id")
    assert [announced[row.id] for row in saved] == [
        {name: getattr(row, name) for name in ["id", *names]} for row in saved
    ]
    for row, cases in zip(saved, rows, strict=True):
        for name, (value, expected) in cases.items():
            assert typed(getattr(row, name)) == typed(announced[row.id][name]) == typed(expected), (name, value)


async def test_flags_and_floats_are_no_keys() -> None:
    await Every.create(id=1, number=7)
    for key in (True, 1.0, 1.5, "1.0", {1}, [1], None, math.nan):
        assert await Every.get_by_pk(key) is None
        assert await Every.update_by_pk(key, number=8) is False
        assert await Every.delete_by_pk(key) is False
    for wrong in (True, 1.0, 1.5):
        with pytest.raises(InvalidValue, match="'id' must be a value of type int"):
            await Every.delete_by({"id": wrong})
        with pytest.raises(InvalidValue, match="'id' must be a value of type int"):
            await Every.filter(id__in=[wrong]).update(number=8)
    row = await Every.get_by_pk("1")
    assert row is not None
    assert row.number == 7


async def test_expressions_pass() -> None:
    row = await Every.create(id=1, number=7)
    row.number = F("number") + 1  # type: ignore[assignment]
    await row.save()
    await Every.filter(id=1).update(number=F("number") * 2, ratio=F("number"))
    assert (await Every.get(id=1)).number == 16


LAWS: dict[str, st.SearchStrategy[Any]] = {
    "number": st.integers(-(2**31), 2**31 - 1),
    "price": st.decimals(-(10**13), 10**13, places=4),
    "ratio": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    "char": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40) | st.uuids(),
    "at": st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC) | st.just(SHANGHAI)),  # noqa: DTZ001
    "hour": st.times(timezones=st.just(UTC) | st.just(SHANGHAI)),
    "span": st.timedeltas(timedelta(-(10**8)), timedelta(10**8)),
    "uid": st.uuids(),
}
GIVEN = st.sampled_from(sorted(LAWS)).flatmap(
    lambda name: st.tuples(
        st.just(name), LAWS[name] | (LAWS[name].map(str) if name in ("number", "uid") else st.nothing())
    )
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(GIVEN, st.sampled_from(VERBS))
async def test_every_verb_writes_announces_and_finds_the_columns_own_value(case: tuple[str, Any], verb: Verb) -> None:
    name, value = case
    expected = column_value(Every._meta.fields_map[name], value)
    await Every.all().delete()
    announced = await announced_row(verb, await Every.create(id=1), {name: value})
    assert typed(announced[name]) == typed(getattr(await Every.get(id=1), name)) == typed(expected)
    assert await Every.filter(**{name: value}).exists()


@given(GIVEN)
def test_a_columns_own_value_is_its_own(case: tuple[str, Any]) -> None:
    name, value = case
    field = Every._meta.fields_map[name]
    once = column_value(field, value)
    assert typed(column_value(field, once)) == typed(once)
    assert is_valid_value(field, value)
