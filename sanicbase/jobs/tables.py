"""The tables of jobs in a service's database, as models to subclass in a file of MODEL_LIST.

The service's migrations create them, like its other tables. A class belongs to the connection of its file, so a service
with several databases has an outbox in each whose transactions enqueue jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from tortoise import fields

from sanicbase.db import DBModel
from sanicbase.db.observers import open_models
from sanicbase.rc.clients import namespace

__all__ = ["CompletedJob", "OutboxMessage", "table_on", "tables_of"]

T = TypeVar("T", bound=DBModel)


class OutboxMessage(DBModel):
    """Jobs that a transaction has enqueued and that are not yet in Redis:

    class Outbox(OutboxMessage):
        class Meta:
            table = "shop_outbox"
    """

    id = fields.BigIntField(primary_key=True)
    queue = fields.CharField(max_length=40)
    message = fields.TextField()
    created_at = fields.DatetimeField(auto_now_add=True)

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True


class CompletedJob(DBModel):
    """Jobs with `once` that have succeeded; rows are kept for a week:

    class Completed(CompletedJob):
        class Meta:
            table = "shop_completed_job"
    """

    id = fields.CharField(max_length=64, primary_key=True)
    done_at = fields.DatetimeField(auto_now_add=True, db_index=True)

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True


def tables_of(base: type[T]) -> Iterator[type[T]]:
    """The service's own subclasses that are open, without those of other services in MODEL_EXTRA."""
    service = namespace()
    for model in open_models():
        label, connection = model._meta.app, model._meta.default_connection  # noqa: SLF001  (Tortoise has no other way)
        if issubclass(model, base) and label in (service, f"{service}_{connection}"):
            yield model


def table_on(connection: str, base: type[T]) -> type[T] | None:
    """The subclass on that connection, if there is one."""
    return next((model for model in tables_of(base) if model._meta.default_connection == connection), None)  # noqa: SLF001
