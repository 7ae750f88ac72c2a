"""Models of which the database changes rows by itself, when rows of others are deleted that nobody sees."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from sanicbase.db import DBModel


class House(Model):
    id = fields.IntField(primary_key=True)


class Room(DBModel):
    id = fields.IntField(primary_key=True)
    house: fields.ForeignKeyRelation[House] = fields.ForeignKeyField("library.House", related_name="rooms")


class Chair(DBModel):
    id = fields.IntField(primary_key=True)
    room: fields.ForeignKeyNullableRelation[Room] = fields.ForeignKeyField(
        "library.Room", related_name="chairs", null=True, on_delete=fields.SET_NULL
    )


class Garden(DBModel):
    id = fields.IntField(primary_key=True)
    house: fields.ForeignKeyRelation[House] = fields.ForeignKeyField(
        "library.House", related_name="gardens", on_delete=fields.RESTRICT
    )


class Tree(DBModel):
    id = fields.IntField(primary_key=True)
    garden: fields.ForeignKeyRelation[Garden] = fields.ForeignKeyField("library.Garden", related_name="trees")
