"""A model with a version, as a cache model and as a model of its own that responses have."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from tortoise import fields

from sanicbase import DBModel, RCModel, Version, Versioned


class Edition(Versioned):
    id = fields.IntField(primary_key=True)
    title = fields.CharField(max_length=40)


class EditionRC(RCModel):
    id: int
    title: str
    version: int

    class Meta:
        source = Edition


class EditionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    title: str
    version: Version


class Plain(DBModel):
    id = fields.IntField(primary_key=True)
    version = fields.IntField(default=1)


class PlainRC(RCModel):
    """A number with the same name, which is no version."""

    id: int
    version: int

    class Meta:
        source = Plain
