"""A model with a column of every type that Tortoise has."""

from __future__ import annotations

from enum import Enum, IntEnum

from tortoise import fields

from sanicbase import DBModel

__all__ = ["Colour", "Every", "Size"]


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Colour(Enum):
    RED = "red"
    BLUE = "蓝"


class Every(DBModel):
    id = fields.IntField(primary_key=True)
    number = fields.IntField(null=True)
    small = fields.SmallIntField(null=True)
    big = fields.BigIntField(null=True)
    char = fields.CharField(max_length=40, null=True)
    text = fields.TextField(null=True)
    flag = fields.BooleanField(null=True)
    price = fields.DecimalField(max_digits=18, decimal_places=4, null=True)
    at = fields.DatetimeField(null=True)
    day = fields.DateField(null=True)
    hour = fields.TimeField(null=True)
    span = fields.TimeDeltaField(null=True)
    ratio = fields.FloatField(null=True)
    data = fields.JSONField[object](null=True)
    uid = fields.UUIDField(null=True)
    blob = fields.BinaryField(null=True)
    size = fields.IntEnumField(Size, null=True)
    colour = fields.CharEnumField(Colour, null=True)
