"""The queries of a DBModel: Tortoise's own, with what every write of ours keeps in order."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pypika_tortoise.enums import Order
from pypika_tortoise.terms import Field
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.expressions import Expression, Q
from tortoise.manager import Manager
from tortoise.queryset import (
    BulkCreateQuery,
    BulkUpdateQuery,
    DeleteQuery,
    QuerySet,
    RawSQLQuery,
    UpdateQuery,
    ValuesListQuery,
    ValuesQuery,
)

from sanicbase.db.conversion import WRONG_TYPE
from sanicbase.db.hooks import ModelHooks
from sanicbase.db.inserts import insert_many
from sanicbase.db.keys import attribute_path, attributes, pk_field, plain_filter, with_attributes
from sanicbase.db.observers import Row, is_deletion_watched, is_watched
from sanicbase.db.routing import is_routed, is_select
from sanicbase.db.targets import rows_of
from sanicbase.db.values import check_known, converted
from sanicbase.db.writes import LIMIT, Writing, announced, writing
from sanicbase.errors import SanicBaseError

__all__ = ["BATCH", "DBManager", "DBQuerySet"]

BATCH = 1000  # rows that one statement writes at most

M = TypeVar("M", bound=ModelHooks)


class DBQuerySet(QuerySet[M]):
    """A queryset of a DBModel. Bulk writes are all or nothing, in batches of 1000 rows unless another size is given.

    Raises InvalidValue for an unknown field and for a value that does not fit its column, before anything is written.
    """

    def __await__(self) -> Generator[Any, None, list[M]]:
        # Tortoise keeps the connection it has chosen, and a later read or write of the same queryset would be bound to
        # the replica of the first one.
        given: BaseDBAsyncClient | None = self._db
        return QuerySet.__await__(self._clone() if given is None and is_routed() else self)

    def only(self, *fields_for_select: str) -> QuerySet[M]:
        """The rows with these columns alone; a relation names its column."""
        return super().only(*(attribute_path(self.model, name) for name in fields_for_select))

    def group_by(self, *fields: str) -> QuerySet[M]:
        """Group by these columns; a relation names its column."""
        return super().group_by(*(attribute_path(self.model, name) for name in fields))

    def values_list(self, *fields_: str, flat: bool = False) -> ValuesListQuery[Any]:
        """Tuples of these columns; a relation stands for its key.

        Raises SanicBaseError for a column that `group_by` does not have.
        """
        names = [attribute_path(self.model, name) for name in fields_]
        self._check_grouped(names)
        return super().values_list(*names, flat=flat)

    def values(self, *args: str, **kwargs: str) -> ValuesQuery[Any]:
        """Dictionaries of these columns; a relation stands for its key.

        Raises SanicBaseError for a column that `group_by` does not have.
        """
        relations = {name: path for name in args if (path := attribute_path(self.model, name)) != name}
        renamed = {name: attribute_path(self.model, path) for name, path in kwargs.items()}
        self._check_grouped([name for name in args if name not in relations] + [*relations.values(), *renamed.values()])
        return super().values(*(name for name in args if name not in relations), **relations, **renamed)

    def _check_grouped(self, names: Sequence[str]) -> None:
        """PostgreSQL and MySQL refuse a column beside a group, of which SQLite and MariaDB return any row's value."""
        groups, meta = self._group_bys, self.model._meta
        if not groups or meta.pk_attr in groups or "pk" in groups:  # a key determines all columns of its row
            return
        known = [name for name in meta.fields_db_projection if name not in self._annotations]
        if stray := [name for name in names or known if name in known and name not in groups]:
            raise SanicBaseError(
                f"{self.model.__name__} is grouped by {', '.join(groups)}, and {stray[0]!r} is not among them. Select "
                'columns of the group and annotations: .group_by("author").values("author", "count").'
            )

    async def in_bulk(self, id_list: Iterable[Any], field_name: str) -> dict[Any, M]:
        """The rows with these values of a unique field, by their values; a relation stands for its key."""
        return await super().in_bulk(id_list, attribute_path(self.model, field_name))

    def _filter_or_exclude(self, *args: Q, negate: bool, **kwargs: Any) -> QuerySet[M]:
        conditions = [with_attributes(self.model, each) for each in args]
        named = (plain_filter(self.model, name, value) for name, value in kwargs.items())
        conditions += [Q(**{name: value}) for name, value in named]
        return super()._filter_or_exclude(*conditions, negate=negate)

    def _parse_orderings(self, orderings: tuple[str, ...], reverse: bool = False) -> list[tuple[str, Order]]:
        found = []
        for each in orderings:
            sign = "-" if each.startswith("-") else ""
            found.append(sign + attribute_path(self.model, each.removeprefix("-")))
        return super()._parse_orderings(tuple(found), reverse)

    def raw(self, sql: str) -> RawSQLQuery:
        """The rows that a statement of your own returns, from the primary: it may be one that writes.

        Raises SanicBaseError for one that writes while somebody must know of writes to the model; see `raw_write`.
        """
        if is_watched(self.model) and not is_select(sql):
            raise SanicBaseError(
                f"Writes to {self.model.__name__} are watched, and nobody would see this one. Run the statement on the "
                f"connection of `async with raw_write({self.model.__name__})`."
            )
        return _Raw(self.model, self._db, sql)

    def update(self, **values: object) -> UpdateQuery:
        """Update all rows; columns with `auto_now` and a version move on as well. Awaits to the number of rows."""
        return self._update(converted(self.model, values))

    def delete(self) -> DeleteQuery | UpdateQuery:  # type: ignore[override]
        """Delete all rows; those of a model with SoftDelete are marked. Awaits to the number of rows."""
        mark = self.model._mark_of_deletion()
        return self.erase() if mark is None else self._update(mark)

    def erase(self) -> DeleteQuery:
        """Delete all rows for good. Awaits to the number of rows."""
        return _Delete(self)

    def bulk_create(
        self,
        objects: Iterable[M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_fields: Iterable[str] | None = None,
        on_conflict: Iterable[str] | None = None,
    ) -> BulkCreateQuery[M]:
        """Insert all objects, or none of them. Keys that the database generates are not filled in."""
        if update_fields or on_conflict:
            raise ValueError("Use bulk_upsert, which works on every database.")
        return _BulkCreate(
            model=self.model,
            db=self._db,
            objects=objects,
            batch_size=batch_size or BATCH,
            ignore_conflicts=ignore_conflicts,
        )

    def bulk_update(
        self, objects: Iterable[M], fields: Iterable[str], batch_size: int | None = None
    ) -> BulkUpdateQuery[M]:
        """Write these fields of all objects, or of none of them. Awaits to the number of rows."""
        objects, names = list(objects), list(fields)
        check_known(self.model, names)
        names = attributes(self.model, names)
        if any(one.pk is None for one in objects):
            raise ValueError("Every object of a bulk_update needs its primary key: read them, or use bulk_create.")
        return _BulkUpdate(
            **_condition(self),
            objects=objects,
            fields=[*names, *(name for name in self.model._auto_now() if name not in names)],
            batch_size=batch_size or BATCH,
        )

    def _update(self, values: dict[str, Any]) -> UpdateQuery:
        return _Update(self, {**self.model._moved_on(), **values})


class DBManager(Manager):
    """Gives the querysets of a DBModel, without the rows that a part hides. Subclass it for a `Meta.manager`."""

    def get_queryset(self) -> QuerySet[Any]:
        """A queryset of all rows that are not hidden."""
        model: type[ModelHooks] = self._model
        return DBQuerySet(model).filter(**model._shown())


class _Raw(RawSQLQuery):
    __slots__ = ()

    def __await__(self) -> Generator[Any, None, list[Any]]:
        self._choose_db_if_not_chosen(True)
        return super().__await__()


class _Update(UpdateQuery):
    __slots__ = ("_rows",)
    _rows: QuerySet[Any]

    def __init__(self, rows: DBQuerySet[Any], values: dict[str, Any]) -> None:
        condition = _condition(target := rows_of(rows))
        if any(isinstance(value, Expression) for value in values.values()):  # they may be of annotations
            condition["annotations"] = rows._annotations
        super().__init__(update_kwargs=values, **condition)
        self._rows = target

    async def _execute(self) -> int:
        if not is_watched(self.model):
            return await super()._execute()
        async with writing(self.model, self._db) as made:
            before = await made.locked(self._rows)
            await made.announce(before)
            if before is None:
                return int((await made.connection.execute_query(*self.query.get_parameterized_sql()))[0])
            same = _same_rows(self.model, before, made.connection)
            count = await _plain_update(same, self.update_kwargs, self._annotations) if before else 0
            if before and not set(made.names).isdisjoint(self.update_kwargs):
                await made.announce([row for row in await made.locked(same) or () if row not in before])
            return count


class _Delete(DeleteQuery):
    __slots__ = ("_rows",)

    def __init__(self, rows: DBQuerySet[Any]) -> None:
        self._rows = rows_of(rows)
        super().__init__(**_condition(self._rows))

    async def _execute(self) -> int:
        if not is_deletion_watched(self.model):
            return await super()._execute()
        async with writing(self.model, self._db) as made:
            rows = await made.locked(self._rows)
            await made.announce_deletion(rows)
            if rows is None:
                return int((await made.connection.execute_query(*self.query.get_parameterized_sql()))[0])
            return await QuerySet.delete(_same_rows(self.model, rows, made.connection)) if rows else 0


def _condition(rows: QuerySet[Any]) -> dict[str, Any]:
    """What Tortoise's queries take over from a queryset."""
    return {
        "model": rows.model,
        "db": rows._db,
        "q_objects": rows._q_objects,
        "annotations": rows._annotations,
        "custom_filters": rows._custom_filters,
        "limit": rows._limit,
        "orderings": rows._orderings,
    }


def _same_rows(model: type[ModelHooks], rows: Sequence[Row], connection: BaseDBAsyncClient) -> QuerySet[Any]:
    """The locked rows by their keys: what has come to meet the condition since then was not announced."""
    return DBQuerySet(model).filter(pk__in=[row[model._meta.pk_attr] for row in rows]).using_db(connection)


async def _plain_update(rows: QuerySet[Any], values: dict[str, Any], annotations: dict[str, Any]) -> int:
    rows = rows._clone()
    rows._annotations = annotations  # of which the values may be
    return await QuerySet.update(rows, **values)


class _BulkCreate(BulkCreateQuery[M]):
    __slots__ = ()

    async def _execute_many(self, *arguments: Any) -> None:
        for row in self._objects:
            row._take_own_values()
        async with self._db._in_transaction() as connection:
            self._db = connection
            with _naming_mistakes(self._objects):
                if not is_watched(self.model):
                    await super()._execute_many(*arguments)
                    return
            async with writing(self.model, connection) as made:
                with _naming_mistakes(self._objects):
                    found = await self._insert(made, *arguments)
                await made.announce(found)

    async def _insert(self, made: Writing, *arguments: Any) -> list[Row] | None:
        """Insert the rows, and return what tells them apart; None when that is not known, or too much."""
        rows = list(self._objects)
        is_made = pk_field(self.model).generated
        given = [row for row in rows if row._custom_generated_pk or not is_made]
        names: list[str] = arguments[2]
        if len(rows) > LIMIT or (len(given) < len(rows) and (self._ignore_conflicts or not names)):
            await super()._execute_many(*arguments)
            return None
        self._objects = given
        await super()._execute_many(*arguments)
        waiting = [row for row in rows if is_made and not row._custom_generated_pk]
        found = await insert_many(made, waiting, names, self._batch_size or BATCH)
        return None if found is None else [*map(made.image, given), *found]


class _BulkUpdate(BulkUpdateQuery[M]):
    __slots__ = ()

    def _make_queries(self) -> list[tuple[str, list[Any]]]:
        for row in self._objects:
            row._take_own_values(self.fields)
        with _naming_mistakes(self._objects):
            super()._make_queries()
        for name in self.model._versions():
            column = self.model._meta.fields_db_projection[name]
            self._queries = [query.set(column, self.model._meta.basetable[column] + 1) for query in self._queries]
        columns = self.model._meta.fields_db_projection
        for query in self._queries:  # Tortoise takes the attributes' names for the columns'
            query._updates = [(Field(columns.get(field.name, field.name)), value) for field, value in query._updates]
        return [query.get_parameterized_sql() for query in self._queries]

    async def _execute_many(self, queries: list[tuple[str, list[Any]]]) -> int:
        if not self._objects:
            return 0
        async with self._db._in_transaction() as connection:
            await self.model._check_versions(self._objects, connection)
            self._db = connection
            same = DBQuerySet(self.model).filter(pk__in=[row.pk for row in self._objects])
            async with announced(self.model, connection, same, fields=self.fields):
                count: int = await super()._execute_many(queries)
        return count


@contextmanager
def _naming_mistakes(rows: Iterable[Any]) -> Iterator[None]:
    """Raise InvalidValue in place of what Tortoise raises for a value without saying whose it is."""
    try:
        yield
    except WRONG_TYPE:
        for row in rows:
            row._name_mistake()
        raise
