"""A table of cards, and the cache models of it: one now, and one whose shape is another."""

from __future__ import annotations

from tortoise import fields

from sanicbase import RCModel
from sanicbase.cache.model import cache_models
from sanicbase.db import DBModel

__all__ = ["Card", "shaped"]


class Card(DBModel):
    id = fields.IntField(primary_key=True, generated=False)
    slug = fields.CharField(max_length=50, unique=True)
    n = fields.IntField(default=0)
    note = fields.CharField(max_length=10, default="")


def shaped(*, noted: bool) -> type[RCModel]:
    """The class CardRC as one release has it, or the next; what there was before is forgotten."""
    for cls in [cls for cls in cache_models if cls.__name__ == "CardRC"]:
        cache_models.discard(cls)
    return _noted() if noted else _plain()


def _plain() -> type[RCModel]:
    class CardRC(RCModel):
        id: int
        slug: str
        n: int

        class Meta:
            source = Card
            unique = ("slug",)

    return CardRC


def _noted() -> type[RCModel]:
    class CardRC(RCModel):
        id: int
        slug: str
        n: int
        note: str

        class Meta:
            source = Card
            unique = ("slug",)

    return CardRC
