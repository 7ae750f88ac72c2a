"""The databases of a service, on Tortoise ORM."""

from sanicbase.db.background import spawn
from sanicbase.db.database import Database
from sanicbase.db.idempotency import IdempotencyRecord
from sanicbase.db.mixins import Fenced, SoftDelete, Timestamps, Versioned
from sanicbase.db.model import DBModel
from sanicbase.db.pagination import KeysetPage, KeysetQuery, OffsetQuery, Page, PageQuery, keyset_page
from sanicbase.db.queryset import DBManager, DBQuerySet
from sanicbase.db.raw_writes import raw_write
from sanicbase.db.routing import use_primary
from sanicbase.db.transaction import on_commit, transaction
from sanicbase.db.typed_rows import fetch_models

__all__ = [
    "DBManager",
    "DBModel",
    "DBQuerySet",
    "Database",
    "Fenced",
    "IdempotencyRecord",
    "KeysetPage",
    "KeysetQuery",
    "OffsetQuery",
    "Page",
    "PageQuery",
    "SoftDelete",
    "Timestamps",
    "Versioned",
    "fetch_models",
    "keyset_page",
    "on_commit",
    "raw_write",
    "spawn",
    "transaction",
    "use_primary",
]
