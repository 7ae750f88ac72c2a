"""Updates and deletions write the rows that their queryset has, whether somebody watches or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tortoise.expressions import F, Q
from tortoise.functions import Count
from tortoise.queryset import QuerySet

from sanicbase.db import DBModel
from tests.db.opening import Store, opened
from tests.db.test_writes import Recorder, watching
from tests.db.twins import Mark, Other, OtherMark, Twin

Queryset = QuerySet[Any]
QUERYSETS: dict[str, Callable[[Queryset], Queryset]] = {
    "all": lambda rows: rows,
    "filter": lambda rows: rows.filter(n__lt=2),
    "distinct": lambda rows: rows.distinct(),
    "distinct of an order": lambda rows: rows.distinct().order_by("-n"),
    "foreign key": lambda rows: rows.filter(parent__n=0),
    "reverse": lambda rows: rows.filter(children__n__gt=2),
    "distinct reverse": lambda rows: rows.filter(children__n__gt=0).distinct(),
    "many to many": lambda rows: rows.filter(marks__name__in=["a", "b"]),
    "distinct many to many": lambda rows: rows.filter(marks__name__in=["a", "b"]).distinct(),
    "limit": lambda rows: rows.order_by("id").limit(3),
    "no rows": lambda rows: rows.limit(0),
    "offset": lambda rows: rows.order_by("-n", "id").offset(2).limit(2),
    "distinct limit": lambda rows: rows.filter(marks__name__in=["a", "b"]).distinct().order_by("-id").limit(2),
    "limit of joined": lambda rows: rows.filter(parent__n__lt=5).order_by("-id").limit(2),
    "annotation": lambda rows: rows.annotate(sum=F("n") + F("id")).filter(sum__gt=4),
    "aggregate": lambda rows: rows.annotate(count=Count("marks")).filter(count=2),
    "order of an aggregate": lambda rows: rows.annotate(count=Count("marks")).order_by("-count", "id").limit(2),
    "group": lambda rows: rows.annotate(count=Count("children")).group_by("id").filter(count__gte=1),
    "either": lambda rows: rows.filter(Q(n=1) | Q(marks__name="a")),
    "related at hand": lambda rows: rows.select_related("parent").prefetch_related("marks").filter(n__gt=1),
}


@pytest.fixture(autouse=True)
async def twins(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.twins"):
        for model, mark in ((Twin, Mark), (Other, OtherMark)):
            names = [await mark.create(name=name) for name in "ab"]
            for key in range(1, 9):
                parent = key // 3 or None
                row: Any = await model.create(id=key, n=key % 4, parent_id=parent)
                await row.marks.add(*names[: key % 3])
        yield


async def rows(model: type[DBModel]) -> list[Any]:
    return await model.all().order_by("id").values_list("id", "n", "m", "parent_id")


@pytest.mark.parametrize("name", QUERYSETS)
async def test_a_watched_model_is_written_as_an_unwatched_one_and_as_it_is_read(store: Store, name: str) -> None:
    queryset = QUERYSETS[name]
    read = {row.id for row in await queryset(Twin.all())}
    with watching(Other) as recorder:
        for change in ({"m": 1}, {"m": F("m") + 10}):
            counts = [await queryset(model.all()).update(**change) for model in (Twin, Other)]
            assert await rows(Twin) == await rows(Other)
            assert counts == [len(read), len(read)]
        assert {row["m"] for row in await Twin.filter(id__in=read).values("m")} <= {11}
        assert {row["m"] for row in await Twin.exclude(id__in=read).values("m")} <= {0}
        assert announced_ids(recorder) == read
        counts = [await queryset(model.all()).delete() for model in (Twin, Other)]
        assert counts[0] == counts[1]
        assert store.kind == "sqlite" or counts[0] == len(
            read
        )  # Tortoise counts there what the foreign keys change, too
        assert await rows(Twin) == await rows(Other)
        assert {row[0] for row in await rows(Twin)} == set(range(1, 9)) - read


async def test_an_annotation_is_a_value() -> None:
    with watching(Other):
        for model in (Twin, Other):
            await model.all().annotate(sum=F("n") + F("id")).filter(sum__gt=4).update(m=F("sum"))
    assert await rows(Twin) == await rows(Other)
    assert [m for _, _, m, _ in await rows(Twin)] == [0, 0, 6, 0, 6, 8, 10, 8]


def announced_ids(recorder: Recorder) -> set[int]:
    return {row["id"] for kind, announced in recorder.take() if kind == "before" for row in announced}
