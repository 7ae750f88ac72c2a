"""A table of places, and the cache models of it that each process keeps in its memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

from tortoise import fields

from sanicbase import RCModel
from sanicbase.db import DBModel


class Place(DBModel):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=40, unique=True)


class PlaceRC(RCModel):
    id: int
    name: str

    class Meta:
        source = Place
        unique = ("name",)
        local = True


class PairRC(RCModel):
    """Two fields are its key."""

    id: int
    name: str

    class Meta:
        key = ("id", "name")
        watches = {Place: ("id", "name")}
        local = True

    @classmethod
    async def load(cls, keys: Sequence[tuple[int, str]]) -> Iterable[Self]:
        return [cls(id=number, name=name) for number, name in keys]


class TagsRC(RCModel):
    """What a caller could change: lists and dictionaries, one in another."""

    id: int
    tags: list[str]
    facts: dict[str, Any]

    class Meta:
        key = "id"
        watches = {Place: "id"}
        local = True

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        return [cls(id=key, tags=["a"], facts={"deep": [{"n": key}]}) for key in keys]
