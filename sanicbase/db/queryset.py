"""The querysets of a DBModel: Tortoise's, with validation, versions and notifications of watchers."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import LambdaType
from typing import Any, NamedTuple, TypeVar

from pypika_tortoise.enums import Order
from pypika_tortoise.terms import Field
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.executor import BaseExecutor
from tortoise.exceptions import DoesNotExist, MultipleObjectsReturned
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

from sanicbase.db.conversion import CONVERSION_ERRORS
from sanicbase.db.hooks import ModelHooks
from sanicbase.db.inserts import insert_rows
from sanicbase.db.instances import (
    ColumnConverter,
    as_dictionaries,
    column_converter,
    instance_factory,
    make_instances,
)
from sanicbase.db.keys import attribute_path, attributes, normalize_condition, normalize_filter, pk_field
from sanicbase.db.observers import Row, is_deletion_watched, is_watched
from sanicbase.db.routing import has_replicas, is_select
from sanicbase.db.updatable import updatable
from sanicbase.db.values import check_field_names, convert_values
from sanicbase.db.writes import MAX_WATCHED_ROWS, WatchedWrite, watched_statement, watched_write
from sanicbase.errors import SanicBaseError

__all__ = ["BATCH", "DBManager", "DBQuerySet"]

BATCH = 1000  # rows of one statement
YIELD_EVERY = 2000  # rows, after which other tasks run; Tortoise's

M = TypeVar("M", bound=ModelHooks)


class DBQuerySet(QuerySet[M]):
    """A queryset of a DBModel. Bulk writes are atomic, in batches of 1000 rows by default.

    Raises InvalidValue for an unknown field and for an invalid value, before anything is written.
    """

    def __await__(self) -> Generator[Any, None, list[M]]:
        # Tortoise stores the chosen connection, and would use the same replica for a later read or write of this
        # queryset.
        given: BaseDBAsyncClient | None = self._db
        query: Any = self._clone() if given is None and has_replicas() else self
        query._choose_db_if_not_chosen(query._select_for_update)
        if not query._makes_plain_instances():
            return QuerySet.__await__(query)
        query.query = _Built(*_statement(query, ()))
        rows: Generator[Any, None, list[M]] = query._execute().__await__()
        return rows

    async def _execute(self) -> Any:
        """Fill the instances of a plain list at once; Tortoise makes all others."""
        if not self._makes_plain_instances():
            return await super()._execute()
        instances: list[M] = []
        _, rows = await self._db.execute_query(*self.query.get_parameterized_sql())
        for start in range(0, len(rows), YIELD_EVERY):
            if start:
                await asyncio.sleep(0)
            instances += make_instances(self.model, rows[start : start + YIELD_EVERY])
        return instances

    def _makes_plain_instances(self) -> bool:
        """Whether the result is a list with an instance of the model for each row, and nothing else is fetched."""
        if self._single or self._select_related or self._prefetch_map or self._prefetch_queries:
            return False
        if self._fields_for_select or self._annotations or instance_factory(self.model) is None:
            return False
        return self._db.executor_class.execute_select is BaseExecutor.execute_select

    def only(self, *fields_for_select: str) -> QuerySet[M]:
        """Fetch only these columns; a relation means its column."""
        return super().only(*(attribute_path(self.model, name) for name in fields_for_select))

    def group_by(self, *fields: str) -> QuerySet[M]:
        """Group by these columns; a relation means its column."""
        return super().group_by(*(attribute_path(self.model, name) for name in fields))

    def values_list(self, *fields_: str, flat: bool = False) -> ValuesListQuery[Any]:
        """Tuples of these columns; a relation means its key.

        Raises SanicBaseError for a column that is not in `group_by`.
        """
        names = [attribute_path(self.model, name) for name in fields_]
        self._check_grouped(names)
        return super().values_list(*names, flat=flat)

    def values(self, *args: str, **kwargs: str) -> ValuesQuery[Any]:
        """Dictionaries of these columns; a relation means its key.

        Raises SanicBaseError for a column that is not in `group_by`.
        """
        relations = {name: path for name in args if (path := attribute_path(self.model, name)) != name}
        renamed = {name: attribute_path(self.model, path) for name, path in kwargs.items()}
        self._check_grouped([name for name in args if name not in relations] + [*relations.values(), *renamed.values()])
        query = super().values(*(name for name in args if name not in relations), **relations, **renamed)
        query.__class__ = _Values  # Tortoise names its own class
        return query

    def _check_grouped(self, names: Sequence[str]) -> None:
        """Refuse columns outside the group, as PostgreSQL and MySQL do; SQLite and MariaDB return any row's value."""
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
        """The rows with these values of a unique field, by their values; a relation means its key."""
        return await super().in_bulk(id_list, attribute_path(self.model, field_name))

    def _filter_or_exclude(self, *args: Q, negate: bool, **kwargs: Any) -> QuerySet[M]:
        conditions = [normalize_condition(self.model, item) for item in args]
        named = (normalize_filter(self.model, name, value) for name, value in kwargs.items())
        conditions += [Q(**{name: value}) for name, value in named]
        return super()._filter_or_exclude(*conditions, negate=negate)

    def _parse_orderings(self, orderings: tuple[str, ...], reverse: bool = False) -> list[tuple[str, Order]]:
        paths = []
        for item in orderings:
            sign = "-" if item.startswith("-") else ""
            paths.append(sign + attribute_path(self.model, item.removeprefix("-")))
        return super()._parse_orderings(tuple(paths), reverse)

    def raw(self, sql: str) -> RawSQLQuery:
        """The rows that raw SQL returns, executed on the primary.

        Raises SanicBaseError for a statement that writes to a watched model; see `raw_write`.
        """
        if is_watched(self.model) and not is_select(sql):
            raise SanicBaseError(
                f"{self.model.__name__} is watched, and this raw SQL would not notify its watchers. Run it on the "
                f"connection of `async with raw_write({self.model.__name__})`."
            )
        return _Raw(self.model, self._db, sql)

    def update(self, **values: object) -> UpdateQuery:
        """Update all rows, with their `auto_now` columns and version. Awaits to the number of rows."""
        return self._update(convert_values(self.model, values))

    def delete(self) -> DeleteQuery | UpdateQuery:  # type: ignore[override]
        """Delete all rows; SoftDelete marks them as deleted. Awaits to the number of rows."""
        mark = self.model._deletion_values()
        return self.erase() if mark is None else self._update(mark)

    def erase(self) -> DeleteQuery:
        """Delete all rows permanently. Awaits to the number of rows."""
        return _Delete(self)

    def bulk_create(
        self,
        objects: Iterable[M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_fields: Iterable[str] | None = None,
        on_conflict: Iterable[str] | None = None,
    ) -> BulkCreateQuery[M]:
        """Insert all objects atomically. Generated keys are not set on them."""
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
        """Write these fields of all objects atomically. Awaits to the number of rows."""
        objects, names = list(objects), list(fields)
        check_field_names(self.model, names)
        names = attributes(self.model, names)
        if any(row.pk is None for row in objects):
            raise ValueError(
                "Every object of a bulk_update needs a primary key. Read the rows first, or use bulk_create."
            )
        return _BulkUpdate(
            **_query_arguments(self),
            objects=objects,
            fields=[*names, *(name for name in self.model._auto_now_fields() if name not in names)],
            batch_size=batch_size or BATCH,
        )

    def _update(self, values: dict[str, Any]) -> UpdateQuery:
        return _Update(self, {**self.model._automatic_values(), **values})


class DBManager(Manager):
    """The manager of a DBModel, without rows that a mixin hides. Subclass it for a `Meta.manager`."""

    def get_queryset(self) -> QuerySet[Any]:
        """A queryset of all visible rows."""
        model: type[ModelHooks] = self._model
        queryset: DBQuerySet[Any] = DBQuerySet(model)
        visible = model._visible_filter()
        return queryset.filter(**visible) if visible else queryset


MAX_KEPT = 1000  # statements, and selections, of all models

_Statement = tuple[object, str, tuple[Any, ...]]
_statements: dict[tuple[Any, ...], _Statement] = {}


def _statement(query: Any, columns: tuple[tuple[str, str], ...]) -> tuple[str, list[Any]]:
    """The SQL of a list, and its values. That of a list without conditions is kept: it depends on few things."""
    model = query.model
    conditions = query._q_objects or query._annotations or query._custom_filters or query._group_bys
    if conditions or query._force_indexes or query._use_indexes or getattr(query, "_select_for_update", False):
        return _built(query)
    key = type(query), model, columns, tuple(query._orderings), query._limit, query._offset, query._distinct
    known = _statements.get(key)
    if known is None or known[0] is not model._meta.basequery_all_fields:  # Tortoise was initialized again
        if len(_statements) >= MAX_KEPT:  # offsets that clients choose
            _statements.clear()
        sql, values = _built(query)
        known = _statements[key] = model._meta.basequery_all_fields, sql, tuple(values)
    return known[1], list(known[2])


def _built(query: Any) -> tuple[str, list[Any]]:
    query._make_query()
    sql, values = query.query.get_parameterized_sql()
    return sql, values


class _Built(NamedTuple):
    """Takes the place of a query whose SQL is known."""

    sql: str
    values: list[Any]

    def get_parameterized_sql(self) -> tuple[str, list[Any]]:
        return self.sql, self.values


_Selection = tuple[object, list[Field]]
_selections: dict[tuple[type[Any], tuple[tuple[str, str], ...]], _Selection] = {}

_Conversions = tuple[object, list[tuple[str, ColumnConverter]]]
_conversions: dict[tuple[type[Any], tuple[tuple[str, str], ...]], _Conversions] = {}


class _Values(ValuesQuery[Any]):
    """Dictionaries. The columns that are selected are kept, and whole columns converted."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        self._choose_db_if_not_chosen()
        self.query = _Built(*_statement(self, tuple(self._fields_for_select.items())))  # type: ignore[assignment]
        return self._execute().__await__()

    def add_field_to_select_query(self, field: str, return_as: str) -> None:
        """Called for one column after another, on the query without columns at first."""
        names, meta = self._fields_for_select, self.model._meta
        if self._annotations or not all(name in meta.fields_db_projection for name in names.values()):
            super().add_field_to_select_query(field, return_as)
            return
        if self.query._selects:  # all of them, by the first call
            return
        key = self.model, tuple(names.items())
        known = _selections.get(key)
        if known is None or known[0] is not meta.basequery_all_fields:  # Tortoise was initialized again
            if len(_selections) >= MAX_KEPT:  # columns that clients choose
                _selections.clear()
            columns = [meta.basetable[meta.fields_db_projection[name]].as_(alias) for alias, name in names.items()]
            known = _selections[key] = meta.basequery_all_fields, columns
        self.query._selects = list(known[1])

    async def _execute(self) -> Any:
        rows = as_dictionaries((await self._db.execute_query(*self.query.get_parameterized_sql()))[1])
        if rows:
            for alias, convert in self._conversions():
                convert(rows, alias)
        if not self._single:
            return rows
        if len(rows) > 1:
            raise MultipleObjectsReturned(self.model)
        if not rows and self._raise_does_not_exist:
            raise DoesNotExist(self.model)
        return rows[0] if rows else None

    def _conversions(self) -> list[tuple[str, ColumnConverter]]:
        """The columns that need a conversion, which are kept unless annotations decide it."""
        if self._annotations:
            return self._find_conversions()
        key = self.model, tuple(self._fields_for_select.items())
        known = _conversions.get(key)
        if known is None or known[0] is not self.model._meta.basequery_all_fields:  # Tortoise was initialized again
            if len(_conversions) >= MAX_KEPT:  # columns that clients choose
                _conversions.clear()
            known = _conversions[key] = self.model._meta.basequery_all_fields, self._find_conversions()
        return known[1]

    def _find_conversions(self) -> list[tuple[str, ColumnConverter]]:
        """Tortoise says by a lambda that values stay as they are."""
        conversions = []
        for alias, name in self._fields_for_select.items():
            convert = self.resolve_to_python_value(self.model, name)
            if not isinstance(convert, LambdaType):
                conversions.append((alias, column_converter(convert)))
        return conversions


class _Raw(RawSQLQuery):
    __slots__ = ()

    def __await__(self) -> Generator[Any, None, list[Any]]:
        self._choose_db_if_not_chosen(True)
        return super().__await__()


class _Update(UpdateQuery):
    __slots__ = ("_rows",)
    _rows: QuerySet[Any]

    def __init__(self, rows: DBQuerySet[Any], values: dict[str, Any]) -> None:
        condition = _query_arguments(target := updatable(rows))
        if any(isinstance(value, Expression) for value in values.values()):  # they may use annotations
            condition["annotations"] = rows._annotations
        super().__init__(update_kwargs=values, **condition)
        self._rows = target

    async def _execute(self) -> int:
        if not is_watched(self.model):
            return await super()._execute()
        async with watched_write(self.model, self._db) as write:
            before = await write.lock_rows(self._rows)
            await write.notify(before)
            if before is None:
                return int((await write.connection.execute_query(*self.query.get_parameterized_sql()))[0])
            locked_rows = _rows_by_key(self.model, before, write.connection)
            count = await _update_unwatched(locked_rows, self.update_kwargs, self._annotations) if before else 0
            if before and not set(write.names).isdisjoint(self.update_kwargs):
                await write.notify([row for row in await write.lock_rows(locked_rows) or () if row not in before])
            return count


class _Delete(DeleteQuery):
    __slots__ = ("_rows",)

    def __init__(self, rows: DBQuerySet[Any]) -> None:
        self._rows = updatable(rows)
        super().__init__(**_query_arguments(self._rows))

    async def _execute(self) -> int:
        if not is_deletion_watched(self.model):
            return await super()._execute()
        async with watched_write(self.model, self._db) as write:
            rows = await write.lock_rows(self._rows)
            await write.notify_deletion(rows)
            if rows is None:
                return int((await write.connection.execute_query(*self.query.get_parameterized_sql()))[0])
            return await QuerySet.delete(_rows_by_key(self.model, rows, write.connection)) if rows else 0


def _query_arguments(rows: QuerySet[Any]) -> dict[str, Any]:
    """The arguments of Tortoise's queries, from a queryset."""
    return {
        "model": rows.model,
        "db": rows._db,
        "q_objects": rows._q_objects,
        "annotations": rows._annotations,
        "custom_filters": rows._custom_filters,
        "limit": rows._limit,
        "orderings": rows._orderings,
    }


def _rows_by_key(model: type[ModelHooks], rows: Sequence[Row], connection: BaseDBAsyncClient) -> QuerySet[Any]:
    """The locked rows by their keys: rows that match the condition since then were not notified."""
    return DBQuerySet(model).filter(pk__in=[row[model._meta.pk_attr] for row in rows]).using_db(connection)


async def _update_unwatched(rows: QuerySet[Any], values: dict[str, Any], annotations: dict[str, Any]) -> int:
    rows = rows._clone()
    rows._annotations = annotations  # the values may use them
    return await QuerySet.update(rows, **values)


class _BulkCreate(BulkCreateQuery[M]):
    __slots__ = ()

    async def _execute_many(self, *arguments: Any) -> None:
        for row in self._objects:
            row._convert_attributes()
        async with self._db._in_transaction() as connection:
            self._db = connection
            with _naming_invalid_values(self._objects):
                if not is_watched(self.model):
                    await super()._execute_many(*arguments)
                    return
            async with watched_write(self.model, connection) as write:
                with _naming_invalid_values(self._objects):
                    inserted = await self._insert(write, *arguments)
                await write.notify(inserted)

    async def _insert(self, write: WatchedWrite, *arguments: Any) -> list[Row] | None:
        """Insert the rows, and return their keys and unique columns; None when they are unknown, or too many."""
        rows = list(self._objects)
        is_made = pk_field(self.model).generated
        given = [row for row in rows if row._custom_generated_pk or not is_made]
        names: list[str] = arguments[2]
        if len(rows) > MAX_WATCHED_ROWS or (len(given) < len(rows) and (self._ignore_conflicts or not names)):
            await super()._execute_many(*arguments)
            return None
        self._objects = given
        await super()._execute_many(*arguments)
        waiting = [row for row in rows if is_made and not row._custom_generated_pk]
        inserted = await insert_rows(write, waiting, names, self._batch_size or BATCH)
        return None if inserted is None else [*map(write.image, given), *inserted]


class _BulkUpdate(BulkUpdateQuery[M]):
    __slots__ = ()

    def _make_queries(self) -> list[tuple[str, list[Any]]]:
        for row in self._objects:
            row._convert_attributes(self.fields)
        with _naming_invalid_values(self._objects):
            super()._make_queries()
        for name in self.model._version_fields():
            column = self.model._meta.fields_db_projection[name]
            self._queries = [query.set(column, self.model._meta.basetable[column] + 1) for query in self._queries]
        columns = self.model._meta.fields_db_projection
        for query in self._queries:  # Tortoise uses the attributes' names as columns
            query._updates = [(Field(columns.get(field.name, field.name)), value) for field, value in query._updates]
        return [query.get_parameterized_sql() for query in self._queries]

    async def _execute_many(self, queries: list[tuple[str, list[Any]]]) -> int:
        if not self._objects:
            return 0
        async with self._db._in_transaction() as connection:
            await self.model._check_versions(self._objects, connection)
            self._db = connection
            locked_rows = DBQuerySet(self.model).filter(pk__in=[row.pk for row in self._objects])
            async with watched_statement(self.model, connection, locked_rows, fields=self.fields):
                count: int = await super()._execute_many(queries)
        return count


@contextmanager
def _naming_invalid_values(rows: Iterable[Any]) -> Iterator[None]:
    """Raise InvalidValue, with the field, in place of Tortoise's error."""
    try:
        yield
    except CONVERSION_ERRORS:
        for row in rows:
            row._check_attributes()
        raise
