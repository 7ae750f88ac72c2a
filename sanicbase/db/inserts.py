"""Bulk inserts of rows with generated keys that return the keys, which watchers need.

Tortoise's `executemany` does not return them. PostgreSQL and SQLite have RETURNING. MySQL and MariaDB report the first
key of a statement; in a simple insert the keys are consecutive, whatever `innodb_autoinc_lock_mode` is (MySQL Reference
Manual, "AUTO_INCREMENT Handling in InnoDB").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tortoise.models import Model
from tortoise.queryset import QuerySet

from sanicbase.db.engine.transactions import EngineTransaction
from sanicbase.db.keys import pk_field
from sanicbase.db.observers import Row
from sanicbase.db.writes import WatchedWrite

__all__ = ["insert_rows"]

MAX_PARAMETERS = 30_000  # of one statement; SQLite allows 32766, PostgreSQL 65535


async def insert_rows(
    write: WatchedWrite, rows: Sequence[Model], columns: Sequence[str], batch: int
) -> list[Row] | None:
    """Insert the rows with these attributes, and return their keys and unique columns; None when they are unknown."""
    inserted: list[Row] | None = []
    for group in _batches(rows, min(batch, MAX_PARAMETERS // len(columns))):
        images = await _insert(write, group, columns)
        inserted = None if inserted is None or images is None else [*inserted, *images]
    return inserted


def _batches(rows: Sequence[Model], size: int) -> Iterator[Sequence[Model]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


async def _insert(write: WatchedWrite, rows: Sequence[Model], columns: Sequence[str]) -> list[Row] | None:
    connection, model = write.connection, type(rows[0])
    meta, fields = model._meta, model._meta.fields_map
    values = [fields[name].to_db_value(getattr(row, name), row) for row in rows for name in columns]
    executor = connection.executor_class(model=model, db=connection)
    query: Any = connection.query_class.into(meta.basetable)
    query = query.columns(*(meta.fields_db_projection[name] for name in columns))
    for start in range(0, len(values), len(columns)):
        query = query.insert(*(executor.parameter(start + offset) for offset in range(len(columns))))
    if connection.capabilities.dialect == "mysql":
        return await _rows_from(write, model, await connection.execute_insert(str(query), values), len(rows))
    names = {meta.fields_db_projection[name]: name for name in write.names}
    returned = await connection.execute_query_dict(str(query.returning(*names)), values)
    return [{name: fields[name].to_python_value(row[column]) for column, name in names.items()} for row in returned]


async def _rows_from(write: WatchedWrite, model: type[Model], first: int, count: int) -> list[Row] | None:
    step = await _step(write.connection)
    keys = list(range(first, first + count * step, step))
    inserted = await write.lock_rows(QuerySet(model).filter(**{f"{pk_field(model).model_field_name}__in": keys}))
    return inserted if inserted is not None and len(inserted) == count else None


async def _step(connection: EngineTransaction) -> int:
    """The increment of generated keys, above 1 in a multi-primary cluster."""
    (row,) = await connection.execute_query_dict("SELECT @@auto_increment_increment AS step")
    return int(row["step"])
