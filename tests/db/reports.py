"""Models that only the latest holder of a lock may write."""

from __future__ import annotations

from tortoise import fields

from sanicbase.db import Fenced, Timestamps, Versioned


class Report(Timestamps, Fenced):
    id = fields.IntField(primary_key=True)
    body = fields.CharField(max_length=40, default="")
    year = fields.IntField(default=2026)

    class Meta:
        table = "report"


class Draft(Versioned, Fenced):
    id = fields.IntField(primary_key=True)
    body = fields.CharField(max_length=40, default="")

    class Meta:
        table = "draft"
