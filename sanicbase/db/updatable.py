"""Querysets that UPDATE, DELETE and FOR UPDATE accept, with the same rows on every database.

Tortoise drops the parts that UPDATE and DELETE do not support: a limit (except on MySQL), an offset, and the grouping
of an aggregate. PostgreSQL does not lock the rows of a SELECT with DISTINCT or GROUP BY. Such a queryset becomes a
condition on the primary key, in the same statement.
"""

from __future__ import annotations

from copy import copy
from typing import Any, TypeVar

from pypika_tortoise.context import SqlContext
from pypika_tortoise.queries import Table
from tortoise.expressions import Subquery
from tortoise.models import Model
from tortoise.queryset import QuerySet

from sanicbase.db.keys import pk_field

__all__ = ["updatable"]

M = TypeVar("M", bound=Model)
ALIAS = "_t"


def updatable(queryset: QuerySet[M]) -> QuerySet[M]:
    """A queryset of the same rows without limit, offset, order, DISTINCT, annotations and prefetches."""
    rows = type(queryset)(queryset.model)
    rows._db = queryset._db
    if queryset._limit is None and not queryset._offset and not queryset._annotations:
        rows._q_objects = list(queryset._q_objects)
        rows._custom_filters = dict(queryset._custom_filters)
        return rows
    return rows.filter(pk__in=_PrimaryKeys(queryset))


class _PrimaryKeys(Subquery):
    """The primary keys of a queryset's rows, in a derived table: MySQL does not read the table that it writes."""

    query: Any

    def __init__(self, queryset: QuerySet[Any]) -> None:
        keys = queryset._clone()
        keys._select_related, keys._prefetch_map, keys._select_for_update = set(), {}, False
        super().__init__(keys.only(queryset.model._meta.pk_attr))

    def get_sql(self, ctx: SqlContext) -> str:
        meta = self.query.model._meta
        column = meta.fields_db_projection[pk_field(self.query.model).model_field_name]
        self.query._choose_db_if_not_chosen()
        self.query._make_query()
        query = copy(self.query.query)
        if query._distinct:  # PostgreSQL orders DISTINCT only by selected columns
            query._distinct = False
            query = query.groupby(meta.basetable[column])
        keys = meta.db.query_class.from_(query.as_(ALIAS)).select(Table(ALIAS)[column])
        sql: str = keys.get_parameterized_sql(ctx)[0]
        return sql
