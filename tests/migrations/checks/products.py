"""The models of `goods.py`, later: goods are products."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

__all__ = ["Maker", "Product"]


class Maker(Model):
    """Who makes goods."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=40, unique=True)
    motto = fields.TextField(null=True)


class Product(Model):
    """What is sold."""

    id = fields.IntField(primary_key=True)
    title = fields.CharField(max_length=40, db_index=True)
    price = fields.DecimalField(max_digits=10, decimal_places=2)
    stock = fields.IntField(db_default=7)
    note = fields.TextField(null=True)
    made_at = fields.DatetimeField(auto_now_add=True)
    maker: fields.ForeignKeyRelation[Maker] = fields.ForeignKeyField("library.Maker")
    dealers: fields.ManyToManyRelation[Maker] = fields.ManyToManyField("library.Maker", related_name="sells")
