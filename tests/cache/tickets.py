"""A table whose unique columns are of types that texts and numbers are converted to, and its cache model."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from tortoise import fields

from sanicbase import DBModel, RCModel

__all__ = ["Ticket", "TicketRC"]


class Ticket(DBModel):
    id = fields.IntField(primary_key=True)
    code = fields.UUIDField(unique=True)
    price = fields.DecimalField(max_digits=8, decimal_places=2, unique=True)


class TicketRC(RCModel):
    id: int
    code: UUID
    price: Decimal

    class Meta:
        source = Ticket
        unique = ("code", "price")
