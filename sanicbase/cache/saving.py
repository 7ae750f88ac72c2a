"""Writing through a cache model: the one row that its key means, and of an entry only what was changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.queryset import QuerySet

from sanicbase.cache.options import Index
from sanicbase.cache.packing import Loaded, same
from sanicbase.db import DBModel, Fenced
from sanicbase.db.parts import Guarded
from sanicbase.errors import SanicBaseError

__all__ = ["changes", "locked_row", "rows_of_key", "write"]


async def rows_of_key(
    source: type[DBModel], key: Index, parts: tuple[Any, ...], connection: BaseDBAsyncClient
) -> QuerySet[DBModel]:
    """The row with that key, or none. Texts are compared letter by letter, as in `get`, whatever the collation."""
    if not any(isinstance(part, str) for part in parts):
        return _where(source, key, parts).using_db(connection)
    row = await locked_row(source, key, parts, connection)
    return source.filter(pk__in=[] if row is None else [row.pk]).using_db(connection)


async def locked_row(
    source: type[DBModel], key: Index, parts: tuple[Any, ...], connection: BaseDBAsyncClient
) -> DBModel | None:
    """The row with that key, locked until the transaction ends."""
    for row in await _locking(_where(source, key, parts), connection):
        if key.typed(key.of(row)) == key.typed(parts):
            return row
    return None


def changes(entry: BaseModel, loaded: Loaded | None, source: type[DBModel], key: Index) -> dict[str, Any]:
    """The columns that an entry is to write, without those that the row moves on by itself.

    All of them when it was not loaded, or was given another key.
    """
    before: Mapping[str, Any] = {} if loaded is None else loaded.values(type(entry))
    if any(name in before and before[name] != getattr(entry, name) for name in key.names):
        before = {}
    kept = {*key.names, source._meta.pk_attr, *source._auto_now(), *source._versions()}
    if issubclass(source, Fenced):
        kept.add("fence")
    names = [name for name in source._meta.fields_db_projection if name in type(entry).model_fields]
    found = {name: getattr(entry, name) for name in names if name not in kept}
    return {name: value for name, value in found.items() if name not in before or not same(before[name], value)}


async def write(entry: Any, row: DBModel, values: dict[str, Any], connection: BaseDBAsyncClient) -> None:
    """Write values to the row of an entry. Raises StaleVersionError or StaleTokenError when the row refuses them."""
    condition: dict[str, Any] = {}
    if isinstance(row, Fenced):
        values = values | _fence(entry, row)
    if isinstance(row, Guarded):
        for name in {*row._versions(), "fence"} & type(entry).model_fields.keys():
            setattr(row, name, getattr(entry, name))
        condition = row._condition()
    rows = type(row).filter(pk=row.pk, **condition)
    held = await rows.using_db(connection).update(**values) if values else len(await _locking(rows, connection))
    if not held and isinstance(row, Guarded):
        raise row._refusal()


def _fence(entry: Any, row: Fenced) -> dict[str, int]:
    """The token of the entry, when it is another one than the row has."""
    kind = type(entry)
    if "fence" not in kind.model_fields:
        raise SanicBaseError(
            f"{type(row).__name__} is Fenced, and {kind.__name__} shows no token to write with. Declare `fence: int` "
            f"in it, or write by {type(row).__name__}.update_fenced."
        )
    return {} if entry.fence == row.fence else {"fence": entry.fence}


def _where(source: type[DBModel], key: Index, parts: tuple[Any, ...]) -> QuerySet[DBModel]:
    return source.filter(**dict(zip(key.names, parts, strict=True)))


def _locking(rows: QuerySet[DBModel], connection: BaseDBAsyncClient) -> QuerySet[DBModel]:
    found = rows.using_db(connection)
    return found.select_for_update() if connection.capabilities.support_for_update else found
