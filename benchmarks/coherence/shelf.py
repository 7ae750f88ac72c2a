"""What is read and written: a few hot items, and in the same transactions the history of each."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from tortoise import fields

from sanicbase import Config, RCModel
from sanicbase.db import DBModel, Versioned

__all__ = ["CODES", "KEYS", "SLUGS", "CachedItem", "Counter", "History", "Item", "Owner", "ShelfConfig"]

KEYS = (1, 2, 3, 4, 5)
SLUGS = {key: (f"item-{key}", f"item-{key}-moved") for key in KEYS}
CODES = {slug: uuid5(UUID(int=0), slug) for slugs in SLUGS.values() for slug in slugs}


class Owner(DBModel):
    """What an item belongs to, and is deleted with: one for each key."""

    id = fields.IntField(primary_key=True, generated=False)


class Item(Versioned):
    """A hot row. Its version grows with each commit, and its token says who has written it; the code is the slug's."""

    id = fields.IntField(primary_key=True, generated=False)
    slug = fields.CharField(max_length=40, unique=True)
    code = fields.UUIDField(unique=True)
    token = fields.CharField(max_length=80)
    owner: fields.OneToOneRelation[Owner] = fields.OneToOneField("coherence.Owner", on_delete=fields.CASCADE)
    owner_id: int


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
    token = fields.CharField(max_length=80)
    began = fields.FloatField()
    past_the_model = fields.BooleanField()

    class Meta:
        unique_together = (("key", "version"),)


class CachedItem(RCModel):
    """What is checked."""

    id: int
    slug: str
    code: UUID
    version: int
    token: str
    owner_id: int

    class Meta:
        source = Item
        unique = ("slug", "code", "owner")
        ttl = 600
        negative_ttl = 60


class ShelfConfig(Config):
    """A service without files."""

    SERVER_NAME = "coherence"

    def tortoise(self) -> dict[str, Any]:
        settings = super().tortoise()
        settings["apps"][self.SERVER_NAME]["models"].append("benchmarks.coherence.shelf")
        return settings
