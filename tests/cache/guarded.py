"""Rows that count their changes, that know their writer's token, or both; their cache models, and some that hide it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tortoise import fields

from sanicbase import RCModel
from sanicbase.db import DBModel, Fenced, Timestamps, Versioned


class Page(Timestamps, Versioned):
    id = fields.IntField(primary_key=True)
    slug = fields.CharField(max_length=20, unique=True)
    title = fields.CharField(max_length=20, default="")
    body = fields.CharField(max_length=20, default="")
    facts: Any = fields.JSONField(default=dict)


class Report(Fenced):
    id = fields.IntField(primary_key=True)
    body = fields.CharField(max_length=20, default="")


class Ledger(Versioned, Fenced):
    id = fields.IntField(primary_key=True)
    body = fields.CharField(max_length=20, default="")


class Word(DBModel):
    name = fields.CharField(max_length=20, primary_key=True)
    n = fields.IntField(default=0)


class PageRC(RCModel):
    id: int
    slug: str
    title: str
    body: str
    facts: dict[str, Any]
    version: int
    updated_at: datetime

    class Meta:
        source = Page
        unique = ("slug",)


class PlainPageRC(RCModel):
    """Without the version: of two who change one field the later one wins."""

    slug: str
    title: str
    body: str
    facts: dict[str, Any]

    class Meta:
        source = Page
        key = "slug"


class ReportRC(RCModel):
    id: int
    body: str
    fence: int

    class Meta:
        source = Report


class HiddenReportRC(RCModel):
    id: int
    body: str

    class Meta:
        source = Report


class LedgerRC(RCModel):
    id: int
    body: str
    version: int
    fence: int

    class Meta:
        source = Ledger


class WordRC(RCModel):
    name: str
    n: int

    class Meta:
        source = Word
