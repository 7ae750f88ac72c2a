"""Writes through a cache model: to the row of its key, and only the changed columns of an entry."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from pydantic import BaseModel
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.queryset import QuerySet

from sanicbase.cache.loaded_entry import Loaded, values_by_name
from sanicbase.cache.options import KeyFields
from sanicbase.cache.serialization import is_same_json
from sanicbase.db import DBModel, Fenced, Versioned
from sanicbase.db.errors import StaleVersionError
from sanicbase.db.mixins import ConditionalSave
from sanicbase.errors import SanicBaseError

__all__ = ["ExpectedVersion", "changed_columns", "lock_row", "require_version", "rows_with_key", "update_row"]


class ExpectedVersion(Protocol):
    """The versions that a row must have to be written, as in the parameter IfMatch of a view."""

    @property
    def versions(self) -> Collection[int] | None: ...


async def rows_with_key(
    source: type[DBModel], key: KeyFields, parts: tuple[Any, ...], connection: BaseDBAsyncClient
) -> QuerySet[DBModel]:
    """The row with that key, if there is one. Texts are compared exactly, as in `get`, regardless of the collation."""
    if not any(isinstance(part, str) for part in parts):
        return _rows_with_values(source, key, parts).using_db(connection)
    row = await lock_row(source, key, parts, connection)
    return source.filter(pk__in=[] if row is None else [row.pk]).using_db(connection)


async def lock_row(
    source: type[DBModel], key: KeyFields, parts: tuple[Any, ...], connection: BaseDBAsyncClient
) -> DBModel | None:
    """The row with that key, locked until the transaction ends."""
    for row in await _for_update(_rows_with_values(source, key, parts), connection):
        if key.converted(key.of(row)) == key.converted(parts):
            return row
    return None


def changed_columns(entry: BaseModel, loaded: Loaded | None, source: type[DBModel], key: KeyFields) -> dict[str, Any]:
    """The changed columns of an entry, without those that every update sets.

    All columns when it was not loaded, or when its key was changed.
    """
    before: Mapping[str, Any] = {} if loaded is None else values_by_name(loaded, type(entry))
    if any(name in before and before[name] != getattr(entry, name) for name in key.names):
        before = {}
    excluded = {*key.names, source._meta.pk_attr, *source._auto_now_fields(), *source._version_fields()}
    if issubclass(source, Fenced):
        excluded.add("fence")
    names = [name for name in source._meta.fields_db_projection if name in type(entry).model_fields]
    columns = {name: getattr(entry, name) for name in names if name not in excluded}
    return {
        name: value for name, value in columns.items() if name not in before or not is_same_json(before[name], value)
    }


async def update_row(entry: Any, row: DBModel, values: dict[str, Any], connection: BaseDBAsyncClient) -> None:
    """Update the row of an entry. Raises StaleVersionError or StaleTokenError when the row was modified in the
    meantime."""
    condition: dict[str, Any] = {}
    current = row.version if isinstance(row, Versioned) else None
    if isinstance(row, Fenced):
        values = values | _changed_fence(entry, row)
    if isinstance(row, ConditionalSave):
        for name in {*row._version_fields(), "fence"} & type(entry).model_fields.keys():
            setattr(row, name, getattr(entry, name))
        condition = row._save_condition()
    rows = type(row).filter(pk=row.pk, **condition)
    matched = await rows.using_db(connection).update(**values) if values else len(await _for_update(rows, connection))
    if not matched and isinstance(row, ConditionalSave):
        error = row._stale_error()
        error.version = current
        raise error


async def require_version(
    rows: QuerySet[DBModel], if_match: ExpectedVersion | None, connection: BaseDBAsyncClient
) -> QuerySet[DBModel]:
    """The row, locked, if it has one of the expected versions. Raises StaleVersionError when it has another one, and
    SanicBaseError when its model has none."""
    if if_match is None:
        return rows
    if not issubclass(rows.model, Versioned):
        raise SanicBaseError(f"{rows.model.__name__} is not Versioned, so it cannot be compared with if_match.")
    for row in await _for_update(rows.all(), connection):
        version: int = getattr(row, "version")  # noqa: B009  (the type of the row is DBModel)
        if if_match.versions is not None and version not in if_match.versions:
            raise StaleVersionError(f"{rows.model.__name__} {row.pk} has the version {version}.", version=version)
    return rows


def _changed_fence(entry: Any, row: Fenced) -> dict[str, int]:
    """The token of the entry, when the row has another one."""
    kind = type(entry)
    if "fence" not in kind.model_fields:
        raise SanicBaseError(
            f"{type(row).__name__} is Fenced, and {kind.__name__} has no token for the write. Declare `fence: int` "
            f"in it, or write by {type(row).__name__}.update_fenced."
        )
    return {} if entry.fence == row.fence else {"fence": entry.fence}


def _rows_with_values(source: type[DBModel], key: KeyFields, parts: tuple[Any, ...]) -> QuerySet[DBModel]:
    return source.filter(**dict(zip(key.names, parts, strict=True)))


def _for_update(rows: QuerySet[DBModel], connection: BaseDBAsyncClient) -> QuerySet[DBModel]:
    query = rows.using_db(connection)
    return query.select_for_update() if connection.capabilities.support_for_update else query
