"""Models with a column of every kind that a list can be ordered or filtered by."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from tortoise import fields
from tortoise.models import Model


class Genre(StrEnum):
    NOVEL = "novel"
    POEM = "poem"


class Grade(IntEnum):
    POOR = 1
    GOOD = 2


class Writer(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=40)


class Book(Model):
    id = fields.UUIDField(primary_key=True)
    title = fields.CharField(max_length=30)
    subtitle = fields.CharField(max_length=30, null=True)
    rank = fields.IntField(null=True)
    pages = fields.SmallIntField(default=0)
    sold = fields.BigIntField(default=0)
    price = fields.DecimalField(max_digits=8, decimal_places=2, null=True)
    weight = fields.FloatField(null=True)
    printed_at = fields.DatetimeField(null=True)
    bought_on = fields.DateField(null=True)
    reading_time = fields.TimeDeltaField(null=True)
    lent = fields.BooleanField(null=True)
    genre = fields.CharEnumField(Genre, null=True)
    grade = fields.IntEnumField(Grade, null=True)
    summary = fields.TextField(null=True)
    extra: fields.Field[dict[str, int]] = fields.JSONField(default=dict)
    writer: fields.ForeignKeyNullableRelation[Writer] = fields.ForeignKeyField(
        "library.Writer", related_name="books", null=True
    )
    writer_id: int | None


class Note(Model):
    """A model whose key the database counts."""

    id = fields.BigIntField(primary_key=True)
    text = fields.CharField(max_length=30)
