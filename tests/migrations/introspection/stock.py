"""Tables with a column of every type, keys of each kind, unique sets, indexes, comments, defaults and foreign keys."""

from __future__ import annotations

from decimal import Decimal

from tortoise import fields
from tortoise.fields.db_defaults import Now, SqlDefault
from tortoise.indexes import Index

from sanicbase import DBModel

__all__ = ["Article", "Depot", "Holding", "Lot", "Parcel", "Shelf", "Term"]


class Depot(DBModel):
    """Its key is counted, in 64 bits."""

    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(max_length=40, unique=True, description="It's the depot's name; C:\\depot, 仓库 \"1\"")

    class Meta:
        table = "stock_depot"
        table_description = "仓库：that's where C:\\things are"


class Shelf(DBModel):
    """Its key is given, in 64 bits."""

    id = fields.BigIntField(primary_key=True, generated=False)
    depot: fields.ForeignKeyRelation[Depot] = fields.ForeignKeyField(
        "library.Depot", on_delete=fields.CASCADE, description="the depot, 仓库"
    )
    code = fields.CharField(max_length=10)
    place = fields.IntField(db_index=True)

    class Meta:
        table = "stock_shelf"
        unique_together = (("depot", "code"),)
        indexes = (("code", "place"), Index(fields=["place", "id"], name="by_place"))


class Article(DBModel):
    """Everything that Tortoise has a type for; its key is counted."""

    id = fields.IntField(primary_key=True)
    number = fields.IntField()
    small = fields.SmallIntField()
    big = fields.BigIntField()
    char = fields.CharField(max_length=40)
    text = fields.TextField()
    flag = fields.BooleanField()
    price = fields.DecimalField(max_digits=18, decimal_places=4)
    at = fields.DatetimeField()
    day = fields.DateField()
    hour = fields.TimeField()
    span = fields.TimeDeltaField()
    ratio = fields.FloatField()
    data = fields.JSONField[object]()
    uid = fields.UUIDField()
    blob = fields.BinaryField()
    perhaps = fields.IntField(null=True)
    perhaps_text = fields.TextField(null=True)

    class Meta:
        table = "stock_article"


class Holding(DBModel):
    """Its key is a text; its columns have defaults of the database."""

    code = fields.CharField(max_length=12, primary_key=True)
    depot: fields.ForeignKeyNullableRelation[Depot] = fields.ForeignKeyField(
        "library.Depot", null=True, on_delete=fields.SET_NULL, related_name="held"
    )
    shelf: fields.OneToOneNullableRelation[Shelf] = fields.OneToOneField(
        "library.Shelf", null=True, on_delete=fields.RESTRICT
    )
    state = fields.CharField(max_length=20, db_default="new")
    report = fields.CharField(max_length=20, db_default=SqlDefault("'it''s new'"))
    amount = fields.IntField(db_default=-3)
    price = fields.DecimalField(max_digits=8, decimal_places=2, db_default=Decimal("1.50"))
    ratio = fields.FloatField(db_default=0.5)
    ready = fields.BooleanField(db_default=True)
    big = fields.BigIntField(db_default=2**40, null=True)
    at = fields.DatetimeField(db_default=Now())
    later = fields.DatetimeField(null=True, db_default=Now())
    rank = fields.SmallIntField(db_default=SqlDefault("7"))

    class Meta:
        table = "stock_holding"


class Lot(DBModel):
    """Its key is a UUID."""

    id = fields.UUIDField(primary_key=True)
    parent: fields.ForeignKeyNullableRelation[Lot] = fields.ForeignKeyField(
        "library.Lot", null=True, related_name="parts"
    )
    note = fields.CharField(max_length=200, null=True, description="*/ and /* and \n a line")

    class Meta:
        table = "stock_lot"


class Parcel(DBModel):
    """Its key is given, and small; the columns' names are not the fields'."""

    number = fields.SmallIntField(primary_key=True, generated=False, source_field="parcel no")
    kind = fields.CharField(max_length=5, source_field="class", db_index=True)
    lot: fields.ForeignKeyRelation[Lot] = fields.ForeignKeyField("library.Lot", source_field="LotId")

    class Meta:
        table = "stock parcel"


class Term(DBModel):
    """Its key is counted, and small."""

    id = fields.SmallIntField(primary_key=True)

    class Meta:
        table = "stock_term"
