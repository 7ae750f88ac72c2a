"""The write protocol: whoever must know of writes hears of them before others can see them, and how they ended.

A write through a DBModel is announced inside of its transaction, with the keys and the unique columns of its rows as
they were, read FOR UPDATE, and as they will be. When the transaction has ended, each watcher is told once.

Seen are: save, delete, create, querysets' update and delete, bulk_create, bulk_update, upserts, get_or_create and
update_or_create, relations' updates, and what the database itself deletes or sets to null along foreign keys from a
DBModel. Not seen are: raw SQL, `execute_query`, tables of many-to-many relations, and `QuerySet(Model)` made by hand.
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

from sanicbase.db.engine.transactions import OVER, LimitedTransaction
from sanicbase.db.errors import DatabaseError, SerializationError
from sanicbase.db.keys import attribute, unique_keys
from sanicbase.db.observers import Row, Write, changed_with, children, is_watched, watched_columns, watchers

__all__ = ["LIMIT", "Writing", "announced", "announced_upsert", "writing"]

LIMIT = 1000  # rows; a write of more of them is unbounded


class Writing:
    """One write while it is made, in a transaction."""

    def __init__(self, model: type[Model], connection: LimitedTransaction) -> None:
        self._model = model
        self.connection = connection
        self.names = _identity(model)

    async def locked(self, queryset: QuerySet[Any]) -> list[Row] | None:
        """The rows that a queryset has, locked until the transaction ends; None when they are more than LIMIT."""
        connection = self.connection
        found = queryset.limit(min(LIMIT + 1, queryset._limit or LIMIT + 1)).only(*self.names).using_db(connection)
        if connection.capabilities.support_for_update:
            of = (self._model._meta.db_table,) if connection.capabilities.dialect == "postgres" else ()
            found = found.select_for_update(of=of)
        rows = {row.pk: self.image(row) for row in await found}
        return None if len(rows) > LIMIT else list(rows.values())

    async def check_seen(self, queryset: QuerySet[Any], before: Sequence[Row]) -> None:
        """Raise SerializationError when an upsert has changed a row that is not among those before.

        Only PostgreSQL lets that happen: it locks no gaps. A row that a statement inserts has no `xmax` there.
        """
        if self.connection.capabilities.dialect != "postgres":
            return
        key = self._model._meta.pk_attr
        changed = queryset.annotate(changed=RawSQL(f'"{self._model._meta.db_table}".xmax <> 0')).using_db(
            self.connection
        )
        seen = {row[key] for row in before}
        if any(each and pk not in seen for pk, each in await changed.values_list(key, "changed")):
            raise SerializationError(
                "Another transaction has inserted the row meanwhile. Try the whole transaction again."
            )

    def image(self, row: Model, before: Sequence[Row] = ()) -> Row:
        """A row's key and unique columns; what was not fetched of it is as it was before."""
        fetched = {name: getattr(row, name) for name in self.names if hasattr(row, name)}
        return {**before[0], **fetched} if before else fetched

    async def announce(self, rows: Iterable[Row] | None) -> None:
        """Say what is about to be seen. When a watcher raises, the transaction can no longer commit."""
        if rows is not None:
            rows = tuple(rows)
            if not rows:
                return
        await self._tell(Write(self._model, rows))

    async def announce_deletion(self, rows: Sequence[Row] | None) -> None:
        """Say that rows are deleted for good, and what the database deletes or changes with them.

        Those rows are locked as well. Where there are more than LIMIT of them in all, any row of their models may be.
        """
        await self.announce(rows)
        if rows is None:
            await self._announce_any(changed_with(self._model))
        elif rows:
            await self._announce_followers(rows)

    async def _announce_followers(self, rows: Sequence[Row]) -> None:
        """Go along the foreign keys that lead to deleted rows."""
        waiting: list[tuple[type[Model], Sequence[Row]]] = [(self._model, rows)]
        seen = {(self._model, row[self._model._meta.pk_attr]) for row in rows}
        while waiting:
            parent, rows = waiting.pop()
            for child, field in children(parent):
                if not is_watched(child) and not (field.on_delete == "CASCADE" and changed_with(child)):
                    continue
                made = Writing(child, self.connection)
                found = None if field.on_delete == "SET DEFAULT" else await made.locked(_followers(child, field, rows))
                if found is None or len(seen) + len(found) > LIMIT:
                    await self._announce_any(changed_with(self._model))
                    return
                key = child._meta.pk_attr
                found = [row for row in found if (child, row[key]) not in seen]
                await made.announce(found)
                if field.on_delete == "CASCADE":
                    seen |= {(child, row[key]) for row in found}
                    waiting += [(child, found)] if found else []
                elif (column := attribute(child, field.model_field_name)) in made.names:
                    await made.announce([{**row, column: None} for row in found])

    async def _announce_any(self, models: Iterable[type[Model]]) -> None:
        for model in models:
            await self._tell(Write(model, None))

    async def _tell(self, write: Write) -> None:
        for watcher in watchers(write.model):
            if self.connection.is_closed:  # by a task that did not wait for this one: there is no end to hear of
                raise DatabaseError(OVER)
            with self.connection.pending.announcing(watcher, write):
                try:
                    await watcher.before_write(write)
                except BaseException as exc:
                    self.connection.root.ended_by = exc
                    raise


@asynccontextmanager
async def writing(model: type[Model], client: BaseDBAsyncClient) -> AsyncIterator[Writing]:
    """A write in the transaction that is open, or in one of its own."""
    if not isinstance(client, LimitedTransaction):
        async with client._in_transaction() as connection, writing(model, connection) as made:
            yield made
        return
    client.writing += 1  # and nobody commits before it is announced to its end
    try:
        yield Writing(model, client)
    finally:
        client.writing -= 1


@asynccontextmanager
async def announced(
    model: type[Model],
    connection: BaseDBAsyncClient,
    queryset: QuerySet[Any] | None,
    *,
    fields: Iterable[str] | None = None,
) -> AsyncIterator[None]:
    """A write, in the transaction of this connection, to what the queryset has before and after; None is any row.

    One that writes `fields` only, none of which tells rows apart, leaves nothing to be said afterwards.
    """
    if not is_watched(model):
        yield
        return
    async with writing(model, connection) as made:
        before = None if queryset is None else await made.locked(queryset)
        await made.announce(before)
        yield
        same = fields is not None and set(made.names).isdisjoint(fields)
        if queryset is not None and before is not None and not same:
            after = await made.locked(queryset)
            await made.announce(None if after is None else [row for row in after if row not in before])


@asynccontextmanager
async def announced_upsert(
    model: type[Model], connection: BaseDBAsyncClient, queryset: QuerySet[Any] | None, *, changes: Collection[str]
) -> AsyncIterator[None]:
    """An upsert, in the transaction of this connection, of what the queryset has afterwards; None is any row.

    A row of which it changes no column that tells it apart is announced when it is written. Locking it before would
    lock the gap where there is none yet, and on MySQL and MariaDB two such callers wait for each other.

    Raises SerializationError when it has changed such a column of a row that was not there before the statement.
    """
    if not is_watched(model):
        yield
        return
    async with writing(model, connection) as made:
        before: list[Row] | None = []
        if queryset is None:
            before = None
        elif not set(made.names).isdisjoint(changes):
            before = await made.locked(queryset)
        await made.announce(before)
        yield
        if queryset is not None and before is not None:
            if not set(made.names).isdisjoint(changes):
                await made.check_seen(queryset, before)
            after = await made.locked(queryset)
            await made.announce(None if after is None else [row for row in after if row not in before])


def _identity(model: type[Model]) -> tuple[str, ...]:
    return tuple(sorted({*chain.from_iterable(unique_keys(model)), *watched_columns(model)}))


def _followers(child: type[Model], field: Any, rows: Sequence[Row]) -> QuerySet[Any]:
    """The rows whose foreign key leads to one of these, the hidden ones as well."""
    key = field.to_field_instance.model_field_name
    return QuerySet(child).filter(**{f"{attribute(child, field.model_field_name)}__in": [row[key] for row in rows]})
