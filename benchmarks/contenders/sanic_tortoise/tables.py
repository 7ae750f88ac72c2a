"""The tables, as Tortoise's models."""

from tortoise import fields
from tortoise.models import Model


class Item(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=80)
    category = fields.CharField(max_length=40)
    description = fields.TextField()
    price = fields.IntField()
    stock = fields.IntField()
    active = fields.BooleanField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "item"


class Note(Model):
    id = fields.IntField(primary_key=True)
    title = fields.CharField(max_length=200)
    author = fields.CharField(max_length=40)
    body = fields.TextField()

    class Meta:
        table = "note"
