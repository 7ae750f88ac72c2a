"""Models for the tests of connections: what can be refused, counted, and lost."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class Owner(Model):
    id = fields.IntField(primary_key=True)
    email = fields.CharField(max_length=10, unique=True)


class Account(Model):
    id = fields.IntField(primary_key=True)
    owner: fields.ForeignKeyRelation[Owner] = fields.ForeignKeyField("library.Owner")
    kind = fields.CharField(max_length=10)
    n = fields.IntField(default=0)
    day = fields.DateField(null=True)

    class Meta:
        unique_together = (("owner", "kind"),)


class Entry(Model):
    id = fields.CharField(max_length=40, primary_key=True)
    text = fields.TextField(default="")
    at = fields.DatetimeField(null=True)
