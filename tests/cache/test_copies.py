"""What of an entry a caller could change is copied, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from sanicbase.cache.copies import copier
from sanicbase.cache.loaded_entry import LoadedEntry, loaded_by, set_loaded


class Color(Enum):
    RED = "red"


class Point(BaseModel):
    model_config = ConfigDict(frozen=True)
    x: int
    next: Point | None = None


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True)
    corners: list[Point] = []


@dataclass
class Loose:
    tags: list[str]


class Frozen(LoadedEntry):
    model_config = ConfigDict(frozen=True)


class Shared(Frozen):
    id: int
    name: Annotated[str, Field(max_length=5)] | None
    at: datetime
    price: Decimal
    code: UUID
    color: Color
    kind: Literal["a", "b"]
    pair: tuple[int, str]
    parts: frozenset[int]
    point: Point


class Mixed(Frozen):
    tags: list[str]
    counts: dict[str, int]
    numbers: set[int]
    maybe: list[int] | None
    deep: dict[str, list[dict[str, Any]]]
    anything: Any
    shape: Shape
    loose: Loose
    point: Point


class Thawed(LoadedEntry):
    n: int


class Extra(Frozen):
    model_config = ConfigDict(extra="allow")
    n: int


class Cached(Frozen):
    n: int

    @cached_property
    def items(self) -> list[int]:
        return [self.n]


class Private(Frozen):
    n: int
    _notes: list[str] = PrivateAttr(default_factory=list)


MIXED: dict[str, Any] = {
    "tags": ["a"],
    "counts": {"a": 1},
    "numbers": {1},
    "maybe": [1],
    "deep": {"a": [{"b": [1]}]},
    "anything": [{"c": {"d": 1}}],
    "shape": Shape(corners=[Point(x=1)]),
    "loose": Loose(["a"]),
    "point": Point(x=1),
}


def test_a_class_whose_fields_are_immutable_is_shared() -> None:
    assert copier(Shared) is None


def test_mutable_values_are_copied_at_every_level() -> None:
    copied = copier(Mixed)
    assert copied is not None
    entry = Mixed(**MIXED)
    set_loaded(entry, b"{}")
    copy = copied(entry)
    assert copy == entry == Mixed(**MIXED)
    assert loaded_by(copy) == b"{}"
    assert copy.model_dump(exclude_unset=True) == entry.model_dump(exclude_unset=True)
    assert copy.point is entry.point
    copy.tags.append("b")
    copy.counts["b"] = 2
    copy.numbers.add(2)
    assert copy.maybe is not None
    copy.maybe.append(2)
    copy.deep["a"][0]["b"].append(2)
    copy.anything[0]["c"]["d"] = 2
    copy.shape.corners.append(Point(x=2))
    copy.loose.tags.append("b")
    assert entry == Mixed(**{**MIXED, "shape": Shape(corners=[Point(x=1)]), "loose": Loose(["a"])})


def test_an_entry_whose_fields_can_be_set_is_copied() -> None:
    copied = copier(Thawed)
    assert copied is not None
    entry = Thawed(n=1)
    copied(entry).n = 2
    assert entry.n == 1


OTHERS = [Extra.model_validate({"n": 1, "more": ["a"]}), Cached(n=1), Private(n=1)]


@pytest.mark.parametrize("entry", OTHERS, ids=["extra", "cached", "private"])
def test_more_than_fields_is_copied(entry: Any) -> None:
    copied = copier(type(entry))
    assert copied is not None
    copy = copied(entry)
    assert copy == entry
    if isinstance(entry, Extra):
        (copy.__pydantic_extra__ or {})["more"].append("b")
        assert entry.__pydantic_extra__ == {"more": ["a"]}
    elif isinstance(entry, Cached):
        copy.items.append(2)
        assert entry.items == [1]
    else:
        copy._notes.append("b")
        assert entry._notes == []
