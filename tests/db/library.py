"""The models of a library: every part, and columns of every kind that has limits."""

from __future__ import annotations

from tortoise import fields

from sanicbase.db import DBModel, SoftDelete, Timestamps, Versioned


class Author(DBModel):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=40, unique=True)
    books: fields.ReverseRelation[Book]


class Book(Timestamps, SoftDelete, Versioned):
    id = fields.IntField(primary_key=True)
    slug = fields.CharField(max_length=20)
    title = fields.CharField(max_length=20, default="")
    pages = fields.SmallIntField(default=0)
    price = fields.DecimalField(max_digits=6, decimal_places=2, null=True)
    rating = fields.FloatField(null=True)
    facts = fields.JSONField[dict[str, object]](null=True)
    author: fields.ForeignKeyNullableRelation[Author] = fields.ForeignKeyField(
        "library.Author", related_name="books", null=True
    )
    author_id: int | None

    class Meta:
        unique_together = (("slug", "living"),)


class Tally(DBModel):
    name = fields.CharField(max_length=40, primary_key=True)
    n = fields.IntField(default=0)


class Shelf(DBModel):
    id = fields.UUIDField(primary_key=True)
    code = fields.CharField(max_length=10, unique=True)
    label = fields.CharField(max_length=10, unique=True, null=True)
    room = fields.IntField(default=0)


class Leaflet(Timestamps, Versioned):
    """Mixed from two parts, without a Meta of its own."""

    id = fields.IntField(primary_key=True)
