"""The same models twice, so that one of them can be watched."""

from __future__ import annotations

from tortoise import fields

from sanicbase import DBModel

__all__ = ["Mark", "Other", "OtherMark", "Twin"]


class Mark(DBModel):
    name = fields.CharField(max_length=10, primary_key=True)


class OtherMark(DBModel):
    name = fields.CharField(max_length=10, primary_key=True)


class Twin(DBModel):
    id = fields.IntField(primary_key=True)
    n = fields.IntField(default=0)
    m = fields.IntField(default=0)
    parent: fields.ForeignKeyNullableRelation[Twin] = fields.ForeignKeyField(
        "library.Twin", related_name="children", null=True, on_delete=fields.SET_NULL
    )
    parent_id: int | None
    children: fields.ReverseRelation[Twin]
    marks: fields.ManyToManyRelation[Mark] = fields.ManyToManyField("library.Mark", related_name="twins")


class Other(DBModel):
    id = fields.IntField(primary_key=True)
    n = fields.IntField(default=0)
    m = fields.IntField(default=0)
    parent: fields.ForeignKeyNullableRelation[Other] = fields.ForeignKeyField(
        "library.Other", related_name="children", null=True, on_delete=fields.SET_NULL
    )
    parent_id: int | None
    children: fields.ReverseRelation[Other]
    marks: fields.ManyToManyRelation[OtherMark] = fields.ManyToManyField("library.OtherMark", related_name="twins")
