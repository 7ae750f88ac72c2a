"""What is read and written: a few hot items, and in the same transactions the history of each."""

from __future__ import annotations

from typing import Any

from tortoise import fields

from sanicbase import Config, RCModel
from sanicbase.db import DBModel

__all__ = ["KEYS", "SLUGS", "CachedItem", "Counter", "History", "Item", "ShelfConfig"]

KEYS = (1, 2, 3, 4, 5)
SLUGS = {key: (f"item-{key}", f"item-{key}-moved") for key in KEYS}


class Item(DBModel):
    """A hot row. Its version grows with each commit, and its token says who has written it."""

    id = fields.IntField(primary_key=True, generated=False)
    slug = fields.CharField(max_length=40, unique=True)
    version = fields.IntField()
    token = fields.CharField(max_length=40)


class Counter(DBModel):
    """The version of a key, which outlives its row; whoever writes the key locks it first."""

    id = fields.IntField(primary_key=True, generated=False)
    version = fields.IntField(default=0)


class History(DBModel):
    """What was committed: the truth. No slug is no row; `began` is when the write did, by the machine's clock."""

    id = fields.IntField(primary_key=True)
    key = fields.IntField()
    version = fields.IntField()
    slug = fields.CharField(max_length=40, null=True)
    token = fields.CharField(max_length=40)
    began = fields.FloatField()
    past_the_model = fields.BooleanField()

    class Meta:
        unique_together = (("key", "version"),)


class CachedItem(RCModel):
    """What is checked."""

    id: int
    slug: str
    version: int
    token: str

    class Meta:
        source = Item
        unique = ("slug",)
        ttl = 600
        negative_ttl = 60


class ShelfConfig(Config):
    """A service without files."""

    SERVER_NAME = "coherence"

    def tortoise(self) -> dict[str, Any]:
        found = super().tortoise()
        found["apps"][self.SERVER_NAME]["models"].append("benchmarks.coherence.shelf")
        return found
