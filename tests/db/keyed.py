"""Models with keys of every type, and with everything that makes a read by key more than a lookup."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from tortoise import fields
from tortoise.queryset import QuerySet

from sanicbase.db import DBManager, DBModel, SoftDelete, Timestamps
from tests.db.every import Colour, Size

tenant: ContextVar[str] = ContextVar("tenant", default="a")


class TenantManager(DBManager):
    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(tenant=tenant.get())


class LoudField(fields.CharField[str | None]):
    """A field whose own conversion changes NULL as well."""

    def to_python_value(self, value: Any) -> Any:
        return "nothing" if value is None else f"{value}!"


class ByInt(Timestamps, SoftDelete):
    id = fields.IntField(primary_key=True, generated=False)
    loud = LoudField(max_length=10, null=True)

    class Meta:
        ordering = ("-id",)


class ByBig(DBModel):
    key = fields.BigIntField(primary_key=True, generated=False, source_field="the_key")
    text = fields.TextField(null=True, source_field="key")  # a column with the name of another attribute


class ByChar(DBModel):
    id = fields.CharField(max_length=20, primary_key=True)
    parent: fields.ForeignKeyNullableRelation[ByChar] = fields.ForeignKeyField("library.ByChar", null=True)
    parent_id: str | None


class ByUUID(DBModel):
    id = fields.UUIDField(primary_key=True)


class ByDecimal(DBModel):
    id = fields.DecimalField(max_digits=8, decimal_places=2, primary_key=True)


class ByMoment(DBModel):
    id = fields.DatetimeField(primary_key=True)


class ByDay(DBModel):
    id = fields.DateField(primary_key=True)


class BySize(DBModel):
    id = fields.IntEnumField(Size, primary_key=True)


class ByColour(DBModel):
    id = fields.CharEnumField(Colour, primary_key=True, max_length=10)


class ByOther(DBModel):
    other: fields.OneToOneRelation[ByChar] = fields.OneToOneField("library.ByChar", primary_key=True)
    other_id: str


class OfTenant(DBModel):
    id = fields.IntField(primary_key=True, generated=False)
    tenant = fields.CharField(max_length=10)

    class Meta:
        manager = TenantManager()
