"""Every type of column gives back what it was given, whichever driver and whichever verb."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from tortoise import fields as tortoise_fields
from tortoise.fields.base import Field
from tortoise.fields.data import CharEnumFieldInstance, IntEnumFieldInstance

from tests.db.every import Colour, Every, Size
from tests.db.opening import Store, opened

VALUES: dict[str, list[Any]] = {
    "number": [0, -(2**31), 2**31 - 1],
    "small": [0, -(2**15), 2**15 - 1],
    "big": [-(2**63), 2**63 - 1],
    "char": ["", "' \" \\ % %s ? \n\r\t 中文 🎲", "x" * 40, " edge "],
    "text": ["", "' \\' \\\\ %", "长" * 10_000, "null"],
    "flag": [True, False],
    "price": [Decimal("0.0000"), Decimal("-99999999999999.9999"), Decimal("778.5000")],
    "at": [
        datetime(2026, 2, 28, 23, 59, 59, 999999, UTC),
        datetime(1, 1, 2, tzinfo=UTC) + timedelta(days=365_000),
        datetime(2024, 5, 1, 8, tzinfo=timezone(timedelta(hours=8))),
    ],
    "day": [date(2024, 2, 29), date(1000, 1, 1), date(9999, 12, 31)],
    "hour": [
        time(0, 0, tzinfo=UTC),
        time(9, 30, tzinfo=timezone(timedelta(hours=8))),
        time(23, 59, 59, 999999, UTC),
        time(7, 30, tzinfo=UTC),
    ],
    "span": [timedelta(0), timedelta(days=-3, microseconds=1), timedelta(days=40_000, seconds=5)],
    "ratio": [0.0, -1.5e-300, 1.7e308, 0.1],
    "data": [{}, [], {"a": [1, None, True, 1.5, "中\\'\"%"]}, [[["deep"]]], {"": {}}],
    "uid": [UUID(int=0), UUID(int=2**128 - 1)],
    "blob": [b"", bytes(range(256)) * 8, b"' \\ % %s \0 \xff", b"0x41"],
    "size": list(Size),
    "colour": list(Colour),
}
CASES = [(name, value) for name, values in VALUES.items() for value in values]
COMPARABLE = VALUES.keys() - {"data", "blob"}  # Tortoise filters by neither


def test_table_has_every_type_of_column_that_tortoise_has() -> None:
    kinds = {kind for kind in vars(tortoise_fields).values() if isinstance(kind, type) and issubclass(kind, Field)}
    relations = {kind for kind in kinds if "relational" in kind.__module__} | {Field}
    types = {type(field) for field in Every._meta.fields_map.values()}
    assert kinds - relations <= types
    assert {IntEnumFieldInstance, CharEnumFieldInstance} <= types
    assert VALUES.keys() | {"id"} == Every._meta.fields_map.keys()


async def test_values_are_read_as_written(store: Store) -> None:
    async with opened(store, "tests.db.every"):
        for number, (name, value) in enumerate(CASES):
            keys = [number * 10 + place for place in range(1, 5)]
            await Every(**{"id": keys[0], name: value}).save()
            await Every.bulk_create([Every(**{"id": keys[1], name: value})])
            await Every.create(id=keys[2])
            assert await Every.update_by_pk(keys[2], **{name: value})
            await Every.upsert({"id": keys[3], name: value}, on=["id"])
            for row in await Every.filter(id__in=keys):
                assert _typed(getattr(row, name)) == _typed(value), (name, value)
            for shown in await Every.filter(id__in=keys).values("id", name):
                assert _typed(shown[name]) == _typed(value), (name, value)
                keys.remove(shown["id"])
            assert not keys


async def test_values_are_found_by_themselves(store: Store) -> None:
    async with opened(store, "tests.db.every"):
        for number, (name, value) in enumerate(CASES, 1):
            await Every.create(**{"id": number, name: value})
            if name in COMPARABLE:
                assert await Every.filter(**{"id": number, name: value}).exists(), (name, value)


async def test_null_is_null_in_every_column(store: Store) -> None:
    async with opened(store, "tests.db.every"):
        await Every.create(id=1, **dict.fromkeys(VALUES))
        (row,) = await Every.all().values()
        assert {name for name, value in row.items() if value is not None} == {"id"}
        assert await Every.filter(id=1, **{f"{name}__isnull": True for name in COMPARABLE}).exists()


def _typed(value: Any) -> tuple[Any, type]:
    return value, UUID if isinstance(value, UUID) else type(value)  # asyncpg has a subclass of its own
