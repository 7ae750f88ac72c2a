"""The write protocol: watchers are notified of writes before other connections see them, and of their outcome.

A write through a DBModel notifies watchers inside its transaction, with the keys and the unique columns of its rows
before the write, read FOR UPDATE, and after it. The end of the transaction notifies each watcher once.

Covered are: save, delete, create, update and delete of querysets, bulk_create, bulk_update, upserts, get_or_create and
update_or_create, updates of relations, and rows that the database deletes or sets to null along foreign keys from a
DBModel. Not covered are: raw SQL, `execute_query`, tables of many-to-many relations, and `QuerySet(Model)` itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.expressions import RawSQL
from tortoise.models import Model
from tortoise.queryset import QuerySet

from sanicbase.db.engine.transactions import TRANSACTION_ENDED, EngineTransaction
from sanicbase.db.errors import DatabaseError, SerializationError
from sanicbase.db.keys import attribute, unique_keys
from sanicbase.db.observers import (
    Row,
    Write,
    is_watched,
    referencing_keys,
    watched_columns,
    watched_dependents,
    watchers,
)

__all__ = ["MAX_WATCHED_ROWS", "WatchedWrite", "watched_statement", "watched_upsert", "watched_write"]

MAX_WATCHED_ROWS = 1000  # a write of more rows notifies of any row


class WatchedWrite:
    """One watched write in a transaction."""

    def __init__(self, model: type[Model], connection: EngineTransaction) -> None:
        self._model = model
        self.connection = connection
        self.names = _identity_columns(model)

    async def lock_rows(self, queryset: QuerySet[Any]) -> list[Row] | None:
        """Lock the rows of a queryset until the transaction ends; None when there are more than MAX_WATCHED_ROWS."""
        connection = self.connection
        query = (
            queryset.limit(min(MAX_WATCHED_ROWS + 1, queryset._limit or MAX_WATCHED_ROWS + 1))
            .only(*self.names)
            .using_db(connection)
        )
        if connection.capabilities.support_for_update:
            of = (self._model._meta.db_table,) if connection.capabilities.dialect == "postgres" else ()
            query = query.select_for_update(of=of)
        rows = {row.pk: self.image(row) for row in await query}
        return None if len(rows) > MAX_WATCHED_ROWS else list(rows.values())

    async def check_no_concurrent_insert(self, queryset: QuerySet[Any], before: Sequence[Row]) -> None:
        """Raise SerializationError when an upsert has changed a row that is not in `before`.

        Only PostgreSQL allows that, since it has no gap locks. There a row that a statement inserts has no `xmax`.
        """
        if self.connection.capabilities.dialect != "postgres":
            return
        key = self._model._meta.pk_attr
        changed = queryset.annotate(changed=RawSQL(f'"{self._model._meta.db_table}".xmax <> 0')).using_db(
            self.connection
        )
        seen = {row[key] for row in before}
        if any(is_changed and pk not in seen for pk, is_changed in await changed.values_list(key, "changed")):
            raise SerializationError(
                "Another transaction inserted the row at the same time. Retry the whole transaction."
            )

    def image(self, row: Model, before: Sequence[Row] = ()) -> Row:
        """A row's key and unique columns; columns that were not fetched have the values of `before`."""
        fetched = {name: getattr(row, name) for name in self.names if hasattr(row, name)}
        return {**before[0], **fetched} if before else fetched

    async def notify(self, rows: Iterable[Row] | None) -> None:
        """Notify the watchers of these rows. When one raises, the transaction can no longer commit."""
        if rows is not None:
            rows = tuple(rows)
            if not rows:
                return
        await self._notify_watchers(Write(self._model, rows))

    async def notify_deletion(self, rows: Sequence[Row] | None) -> None:
        """Notify of deleted rows, and of those that the database deletes or changes with them.

        Those rows are locked as well. For more than MAX_WATCHED_ROWS in all, any row of their models is notified.
        """
        await self.notify(rows)
        if rows is None:
            await self._notify_any_row(watched_dependents(self._model))
        elif rows:
            await self._notify_dependents(rows)

    async def _notify_dependents(self, rows: Sequence[Row]) -> None:
        """Follow the foreign keys that reference deleted rows."""
        remaining: list[tuple[type[Model], Sequence[Row]]] = [(self._model, rows)]
        seen = {(self._model, row[self._model._meta.pk_attr]) for row in rows}
        while remaining:
            parent, rows = remaining.pop()
            for child, field in referencing_keys(parent):
                if not is_watched(child) and not (field.on_delete == "CASCADE" and watched_dependents(child)):
                    continue
                write = WatchedWrite(child, self.connection)
                affected = None
                if field.on_delete != "SET DEFAULT":
                    affected = await write.lock_rows(_referencing_rows(child, field, rows))
                if affected is None or len(seen) + len(affected) > MAX_WATCHED_ROWS:
                    await self._notify_any_row(watched_dependents(self._model))
                    return
                key = child._meta.pk_attr
                affected = [row for row in affected if (child, row[key]) not in seen]
                await write.notify(affected)
                if field.on_delete == "CASCADE":
                    seen |= {(child, row[key]) for row in affected}
                    remaining += [(child, affected)] if affected else []
                elif (column := attribute(child, field.model_field_name)) in write.names:
                    await write.notify([{**row, column: None} for row in affected])

    async def _notify_any_row(self, models: Iterable[type[Model]]) -> None:
        for model in models:
            await self._notify_watchers(Write(model, None))

    async def _notify_watchers(self, write: Write) -> None:
        for watcher in watchers(write.model):
            if self.connection.is_closed:  # by a task that did not wait for this one
                raise DatabaseError(TRANSACTION_ENDED)
            with self.connection.pending.notifying(watcher, write):
                try:
                    await watcher.before_write(write)
                except BaseException as exc:
                    self.connection.root.aborted_by = exc
                    raise


@asynccontextmanager
async def watched_write(model: type[Model], client: BaseDBAsyncClient) -> AsyncIterator[WatchedWrite]:
    """A write in the open transaction, or in a new one."""
    if not isinstance(client, EngineTransaction):
        async with client._in_transaction() as connection, watched_write(model, connection) as write:
            yield write
        return
    client.writes_in_progress += 1  # commit refuses until the notifications are complete
    try:
        yield WatchedWrite(model, client)
    finally:
        client.writes_in_progress -= 1


@asynccontextmanager
async def watched_statement(
    model: type[Model],
    connection: BaseDBAsyncClient,
    queryset: QuerySet[Any] | None,
    *,
    fields: Iterable[str] | None = None,
) -> AsyncIterator[None]:
    """A write, in the transaction of this connection, to the rows that the queryset has before and after; None is any
    row.

    A write to `fields` that are not among the notified columns notifies only before.
    """
    if not is_watched(model):
        yield
        return
    async with watched_write(model, connection) as write:
        before = None if queryset is None else await write.lock_rows(queryset)
        await write.notify(before)
        yield
        is_unchanged = fields is not None and set(write.names).isdisjoint(fields)
        if queryset is not None and before is not None and not is_unchanged:
            after = await write.lock_rows(queryset)
            await write.notify(None if after is None else [row for row in after if row not in before])


@asynccontextmanager
async def watched_upsert(
    model: type[Model], connection: BaseDBAsyncClient, queryset: QuerySet[Any] | None, *, changes: Collection[str]
) -> AsyncIterator[None]:
    """An upsert, in the transaction of this connection, of the rows that the queryset has afterwards; None is any row.

    An upsert that changes none of the notified columns notifies after the statement. Locking before it would lock the
    gap of a missing row, and on MySQL and MariaDB two such callers would deadlock.

    Raises SerializationError when it changed a notified column of a row that did not exist before the statement.
    """
    if not is_watched(model):
        yield
        return
    async with watched_write(model, connection) as write:
        before: list[Row] | None = []
        if queryset is None:
            before = None
        elif not set(write.names).isdisjoint(changes):
            before = await write.lock_rows(queryset)
        await write.notify(before)
        yield
        if queryset is not None and before is not None:
            if not set(write.names).isdisjoint(changes):
                await write.check_no_concurrent_insert(queryset, before)
            after = await write.lock_rows(queryset)
            await write.notify(None if after is None else [row for row in after if row not in before])


def _identity_columns(model: type[Model]) -> tuple[str, ...]:
    return tuple(sorted({*chain.from_iterable(unique_keys(model)), *watched_columns(model)}))


def _referencing_rows(child: type[Model], field: Any, rows: Sequence[Row]) -> QuerySet[Any]:
    """The rows whose foreign key references one of these, hidden ones included."""
    key = field.to_field_instance.model_field_name
    return QuerySet(child).filter(**{f"{attribute(child, field.model_field_name)}__in": [row[key] for row in rows]})
