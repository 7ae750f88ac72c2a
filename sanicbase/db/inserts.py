"""Inserts of many rows whose keys the database makes, with the rows as they are then: a watcher must know the keys.

Tortoise's `executemany` does not tell them. PostgreSQL and SQLite return them. MySQL and MariaDB tell the first key of
a statement; those of a statement whose number of rows is known beforehand follow one another, whatever
`innodb_autoinc_lock_mode` is (MySQL Reference Manual, "AUTO_INCREMENT Handling in InnoDB").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tortoise.models import Model
from tortoise.queryset import QuerySet

from sanicbase.db.engine.transactions import LimitedTransaction
from sanicbase.db.keys import pk_field
from sanicbase.db.observers import Row
from sanicbase.db.writes import Writing

__all__ = ["insert_many"]

MOST_VALUES = 30_000  # of one statement; SQLite takes 32766, PostgreSQL 65535


async def insert_many(made: Writing, rows: Sequence[Model], columns: Sequence[str], batch: int) -> list[Row] | None:
    """Insert the rows with these attributes, and return what tells them apart; None when that cannot be known."""
    found: list[Row] | None = []
    for some in _batches(rows, min(batch, MOST_VALUES // len(columns))):
        images = await _insert(made, some, columns)
        found = None if found is None or images is None else [*found, *images]
    return found


def _batches(rows: Sequence[Model], size: int) -> Iterator[Sequence[Model]]:
    for place in range(0, len(rows), size):
        yield rows[place : place + size]


async def _insert(made: Writing, rows: Sequence[Model], columns: Sequence[str]) -> list[Row] | None:
    connection, model = made.connection, type(rows[0])
    meta, fields = model._meta, model._meta.fields_map
    values = [fields[name].to_db_value(getattr(row, name), row) for row in rows for name in columns]
    executor = connection.executor_class(model=model, db=connection)
    query: Any = connection.query_class.into(meta.basetable)
    query = query.columns(*(meta.fields_db_projection[name] for name in columns))
    for place in range(0, len(values), len(columns)):
        query = query.insert(*(executor.parameter(place + each) for each in range(len(columns))))
    if connection.capabilities.dialect == "mysql":
        return await _rows_from(made, model, await connection.execute_insert(str(query), values), len(rows))
    names = {meta.fields_db_projection[name]: name for name in made.names}
    returned = await connection.execute_query_dict(str(query.returning(*names)), values)
    return [{name: fields[name].to_python_value(row[column]) for column, name in names.items()} for row in returned]


async def _rows_from(made: Writing, model: type[Model], first: int, count: int) -> list[Row] | None:
    step = await _step(made.connection)
    keys = list(range(first, first + count * step, step))
    found = await made.locked(QuerySet(model).filter(**{f"{pk_field(model).model_field_name}__in": keys}))
    return found if found is not None and len(found) == count else None


async def _step(connection: LimitedTransaction) -> int:
    """The distance of generated keys, which a cluster of several primaries has."""
    (row,) = await connection.execute_query_dict("SELECT @@auto_increment_increment AS step")
    return int(row["step"])
