"""Lists that lead nowhere, which is known only when the models are: opening them fails."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from sanicbase import PageQuery


class Shop(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=20)


class Sale(Model):
    id = fields.IntField(primary_key=True)
    shop: fields.ForeignKeyRelation[Shop] = fields.ForeignKeyField("library.Shop", related_name="sales")


class SaleQuery(PageQuery):
    class Meta:
        source = Sale
        filters = ("shop__name", "shop_id", "shop__nme")
