"""Reads by key, and the instances of a list, are what Tortoise's own queryset and its own instances are."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tortoise.connection import get_connection
from tortoise.expressions import F, RawSQL
from tortoise.functions import Count
from tortoise.models import Model
from tortoise.queryset import QuerySet, ValuesQuery
from tortoise.transactions import in_transaction

from sanicbase.db import DBModel, instances, queryset
from sanicbase.db.queryset import DBQuerySet
from tests.db import keyed
from tests.db.every import Colour, Every, Size
from tests.db.keyed import ByBig, ByChar, ByColour, ByDay, ByDecimal, ByInt, ByMoment, ByOther, BySize, ByUUID, OfTenant
from tests.db.opening import Store, opened
from tests.db.test_columns import VALUES

MODULES = ("tests.db.every", "tests.db.keyed")
MOMENT = datetime(2026, 3, 29, 1, 30, 15, 123456, tzinfo=UTC)
KEYS: dict[type[DBModel], list[Any]] = {
    ByInt: [1, 2, -7],
    ByBig: [1, 2**63 - 1],
    ByChar: ["1", "*", "中 '\" % \\"],
    ByUUID: [UUID(int=1)],
    ByDecimal: [Decimal("1.00"), Decimal("-2.50")],
    ByMoment: [MOMENT],
    ByDay: [date(2026, 3, 29)],
    BySize: [Size.SMALL],
    ByColour: [Colour.RED],
    ByOther: ["1"],
    OfTenant: [1, 2],
}
CANDIDATES: list[Any] = [
    *itertools.chain(*KEYS.values()),
    *(
        None,
        True,
        1.0,
        1.5,
        "1.0",
        " 1",
        "x" * 50,
        "\0",
        2**70,
        b"1",
        [],
        {},
        (1,),
        object(),
        float("nan"),
        "red",
        "nope",
    ),
    *(UUID(int=1).hex, MOMENT.isoformat(), "2026-03-29", MOMENT.replace(tzinfo=None), Decimal("1.005"), Decimal("NaN")),
    *(F("id"), RawSQL("1")),
]
SETTINGS = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
ROWS = st.fixed_dictionaries({}, optional={name: st.sampled_from([None, *values]) for name, values in VALUES.items()})

keys_of_rows = itertools.count(1)


@contextmanager
def tortoises_own() -> Iterator[None]:
    """Instances and dictionaries are made by Tortoise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DBQuerySet, "__await__", QuerySet.__await__)
        patch.setattr(DBQuerySet, "_execute", QuerySet._execute)
        patch.setattr(queryset, "_Values", ValuesQuery)
        patch.setattr(DBModel, "_init_from_db", classmethod(vars(Model)["_init_from_db"].__func__))
        yield


async def outcome(read: Awaitable[Any]) -> Any:
    """What a read returns, with all types, or the error that it raises."""
    try:
        rows = await read
    except Exception as exc:
        return type(exc), str(exc)
    return [shown(row) for row in rows] if isinstance(rows, list) else shown(rows)


def shown(row: Any) -> Any:
    if row is None:
        return None
    state = row if isinstance(row, dict) else vars(row)
    return type(row), {name: (type(value), value, zone(value)) for name, value in state.items()}


def zone(value: Any) -> Any:
    """The zone of a datetime or a time. Tortoise has another object for UTC."""
    zone = getattr(value, "tzinfo", None)
    return UTC if getattr(zone, "key", "") == "UTC" else zone


async def fill() -> None:
    for model, keys in KEYS.items():
        for key in keys:
            values: dict[str, Any] = {"tenant": "a" if key == 1 else "b"} if model is OfTenant else {}
            await model.create(**{model._meta.pk_attr: key}, **values)
    await ByInt.create(id=3, loud="loud")
    await ByInt.delete_by_pk(2)
    await ByChar.create(id="child", parent_id="1")


@pytest.fixture
async def reads(store: Store) -> AsyncIterator[Store]:
    async with opened(store, *MODULES):
        yield store


async def test_read_by_any_key_is_what_the_queryset_of_the_manager_reads(reads: Store) -> None:
    await fill()
    objects = [await ByChar.get(id="1"), await ByInt.get(id=1), ByChar(id="unsaved")]
    for name in ("a", "b"):  # while the statement is built, and afterwards for other visible rows
        token = keyed.tenant.set(name)
        for model in KEYS:
            for key in [*CANDIDATES, *objects]:
                with tortoises_own():
                    expected = await outcome(model._get_single({"pk": key}, None))
                assert await outcome(model.get_by_pk(key)) == expected, (model, key)
        keyed.tenant.reset(token)


async def test_read_by_key_builds_no_query_after_the_first(reads: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill()
    first = {model: keys[0] for model, keys in KEYS.items() if model is not OfTenant}
    for model, key in first.items():
        assert await model.get_by_pk(key) == await model.get(pk=key)

    def refuse(self: object) -> None:
        raise AssertionError("The query is built again.")

    monkeypatch.setattr(DBQuerySet, "_make_query", refuse)
    for model, key in first.items():
        assert (await model.get_by_pk_or_fail(key)).pk == key


@SETTINGS
@given(st.lists(ROWS, min_size=1, max_size=4))
async def test_instances_are_those_of_tortoise(reads: Store, rows: list[dict[str, Any]]) -> None:
    keys = [next(keys_of_rows) for _ in rows]
    await Every.bulk_create([Every(id=key, **row) for key, row in zip(keys, rows, strict=True)])
    among = Every.filter(id__in=keys)
    variants: list[Callable[[], Awaitable[Any]]] = [
        among.all,
        among.values,
        lambda: among.values("id", "at", moment="at", more="data"),
        lambda: among.only("id", "at", "data"),
        lambda: among.annotate(twice=F("id") * 2),
        lambda: Every.raw(f"SELECT * FROM every WHERE id = {keys[0]}"),
        lambda: Every.raw(f"SELECT *, 1 AS more FROM every WHERE id = {keys[0]}"),
        *(lambda key=key: Every.get_by_pk(key) for key in keys),
    ]
    for read in variants:
        with tortoises_own():
            expected = await outcome(read())
        assert await outcome(read()) == expected


LISTS: list[Callable[[], Awaitable[Any]]] = [
    lambda: ByChar.all(),
    lambda: ByChar.all().order_by("-id"),
    lambda: ByChar.all().order_by("id").limit(1),
    lambda: ByChar.all().order_by("id").offset(1).limit(2),
    lambda: ByChar.all().order_by("parent__id", "id"),
    lambda: ByChar.all().distinct().order_by("id"),
    lambda: ByChar.filter(parent_id="1"),
    lambda: ByChar.all().order_by("id").only("id"),
    lambda: ByChar.all().order_by("id").prefetch_related("parent"),
    lambda: ByChar.all().order_by("id").first(),
    lambda: ByChar.all().order_by("id").annotate(twice=Count("id")),
    lambda: ByInt.all(),
    lambda: ByBig.all().order_by("key"),
    lambda: ByBig.all().order_by("key").values(),
    lambda: ByBig.all().order_by("-key").values("text", number="key"),
    lambda: ByChar.all().order_by("id").values(),
    lambda: ByChar.all().order_by("id").limit(2).values("parent", "id"),
    lambda: ByChar.all().order_by("id").limit(1).values("parent", "id"),
    lambda: ByChar.all().order_by("id").values("parent__id"),
    lambda: ByChar.annotate(n=Count("id")).group_by("parent_id").order_by("parent_id").values("parent_id", "n"),
    lambda: ByChar.all().order_by("id").first().values("id"),
    lambda: ByInt.all().values(),
    lambda: OfTenant.all().values("id"),
    lambda: ByMoment.all().values(),
    lambda: ByChar.all().values("nothing"),
]


async def test_lists_are_those_of_tortoise(reads: Store) -> None:
    await fill()
    for number, read in enumerate(LISTS * 2):  # the second time by the statements that are kept
        with tortoises_own():
            expected = await outcome(read())
        assert await outcome(read()) == expected, number


async def test_statement_of_a_list_is_built_once(reads: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill()
    read: list[Callable[[], Awaitable[Any]]] = [
        lambda: ByChar.all().order_by("id").limit(2),
        lambda: ByChar.all().order_by("id").limit(2).values("id"),
    ]
    expected = [await outcome(one()) for one in read]
    monkeypatch.setattr(queryset, "_built", lambda query: pytest.fail("It is built again."))
    assert [await outcome(one()) for one in read] == expected


async def test_statements_that_are_kept_are_bounded(reads: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queryset, "MAX_KEPT", 5)
    for number in range(1, 20):
        await ByChar.all().limit(number)
        await ByChar.all().values(**{f"name_{number}": "id"})
        assert len(queryset._statements) <= 5
        assert len(queryset._selections) <= 5


async def test_texts_of_datetimes_are_read_as_by_tortoise(tmp_path: Path) -> None:
    texts = ["2026-03-29 01:30:15+00:00", "2026-03-29T01:30:15.123456+00:00", "2026-03-29 01:30:15.12345678+00:00"]
    texts += ["2026-03-29 01:30:15", "2026-03-29 01:30:15.5+00:00", "2026-03-29", "2026-03-29 09:30:15+08:00"]
    texts += ["20260329 01:30:15.12+00:00", "2026-W13-7T01:30:15+00:00", "2026-13-29 01:30:15+00:00", "no", "0" * 19]
    texts += ["0" * 19 + "+00:00", "9999-12-31 23:59:59.999999+00:00", "0001-01-01 00:00:00+00:00", ""]
    async with opened(Store("sqlite", f"sqlite://{tmp_path / 'texts.sqlite3'}"), *MODULES):
        await Every.create(id=1)
        for text in texts:
            await get_connection("default").execute_query("UPDATE every SET at = ?", [text])
            with tortoises_own():
                expected = await outcome(Every.get(id=1))
            assert await outcome(Every.get_by_pk(1)) == expected, text


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_dictionaries_have_the_columns_of_the_rows_whatever_their_names(names: list[str]) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        quoted = [name.replace('"', '""') for name in names]
        columns = ", ".join(f'{place} AS "{name}"' for place, name in enumerate(quoted))
        rows = connection.execute(f"SELECT {columns} UNION ALL SELECT {columns}").fetchall()
    assert instances.as_dictionaries(rows) == [dict(zip(names, range(len(names)), strict=True))] * 2


async def test_related_instances_are_those_of_tortoise(reads: Store) -> None:
    await fill()
    with tortoises_own():
        (expected,) = await ByChar.filter(id="child").select_related("parent")
    (child,) = await ByChar.filter(id="child").select_related("parent")
    assert shown(child.parent) == shown(expected.parent)
    assert isinstance(child.parent, ByChar)
    assert shown(child)[1].keys() == shown(expected)[1].keys()
    child.parent_id = None  # as on any other instance
    await child.save()
    assert (await ByChar.get_by_pk_or_fail("child")).parent_id is None


async def test_property_in_place_of_an_attribute_is_set_as_by_tortoise(
    reads: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill()
    monkeypatch.setattr(
        ByBig, "text", property(lambda row: "got", lambda row, value: vars(row).update(given=value)), raising=False
    )
    monkeypatch.setattr(instances, "_factories", {})
    row = await ByBig.get_by_pk_or_fail(1)
    assert (row.text, vars(row)["given"]) == ("got", None)


async def test_read_by_key_takes_the_open_transaction(reads: Store) -> None:
    await fill()
    with pytest.raises(ZeroDivisionError):
        async with in_transaction() as connection:
            await ByInt.create(id=10)
            assert await ByInt.get_by_pk(10) is not None
            assert await ByInt.get_by_pk(10, using_db=connection) is not None
            raise ZeroDivisionError
    assert await ByInt.get_by_pk(10) is None


async def test_statement_is_that_of_the_database_that_is_open(store: Store, tmp_path: Path) -> None:
    for other in (Store("sqlite", f"sqlite://{tmp_path / 'other.sqlite3'}"), store):
        async with opened(other, *MODULES):
            await fill()
            assert [row["id"] for row in await ByChar.all().order_by("id").limit(1).values("id")] == ["*"]
            assert [await model.get_by_pk(keys[0]) is not None for model, keys in KEYS.items()] == [True] * len(KEYS)


async def test_error_of_a_read_by_key_is_that_of_the_queryset(reads: Store) -> None:
    await ByChar.create(id="1")
    await get_connection("default").execute_query("DROP TABLE byint")
    assert await outcome(ByInt.get_by_pk(1)) == await outcome(ByInt._get_single({"pk": 1}, None))
