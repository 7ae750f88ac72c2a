"""Keyset pagination: pages that continue after the last row, whatever was written or deleted in between.

The position is the last row's values in the columns of the order, not a number of rows: the method of
https://use-the-index-luke.com/no-offset. Each page is one statement, and an index on those columns finds its
beginning, at once if they are never NULL.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from sanicbase.db.keys import attribute
from sanicbase.db.pagination.columns import column_of, column_type
from sanicbase.db.pagination.cursor import MAX_PAYLOAD, InvalidCursor, decode_cursor, encode_cursor
from sanicbase.db.pagination.page import KeysetPage
from sanicbase.errors import SanicBaseError

__all__ = ["check_position", "keyset_page", "unique_order"]

M = TypeVar("M", bound=Model)
Where = Literal[">", ">=", "<", "<="]  # the rows of a cursor, relative to its position

CURSOR = ConfigDict(strict=True, ser_json_inf_nan="constants")
MAX_TEXT_LENGTH = 500  # characters; MySQL sorts text by its first 1024 bytes only


async def keyset_page(
    queryset: QuerySet[M], order: Sequence[str] = (), *, cursor: str | None = None, size: int
) -> KeysetPage[M]:
    """A page of the queryset in this order, of at most `size` rows: the first one, or the one at the cursor.

    `order` names columns of the model, descending with a minus: `("-created_at", "title")`. The primary key is appended
    to make the order unique. It replaces the order of the queryset, which must have no limit and no offset. Following
    `next`, or `previous` from the other end, returns every row exactly once that exists all the time and keeps its
    values in these columns. A cursor stays valid when the queryset's filters change. Raises InvalidQuery for a cursor
    of another model or order, or an invalid one.
    """
    if size < 1:
        raise SanicBaseError(f"A page must have at least one row, not {size}.")
    ordering = _ordering(queryset.model, tuple(order))
    position = None if cursor is None else ordering.read(cursor, queryset.capabilities.dialect)
    backwards = position is not None and position.where in ("<", "<=")
    if position is not None:
        nulls_greatest = queryset.capabilities.dialect == "postgres"
        queryset = queryset.filter(_beyond(ordering.seen(backwards), position, nulls_greatest))
    names = [("-" if column.descending else "") + column.name for column in ordering.seen(backwards)]
    rows = await queryset.order_by(*names).limit(size + 1)
    rows, more = rows[:size], len(rows) > size
    return ordering.page(rows[::-1] if backwards else rows, position, more)


def unique_order(model: type[Model], names: Sequence[str]) -> tuple[str, ...]:
    """The order made unique: with the primary key as its last column.

    A relation is ordered by its column.
    """
    key = attribute(model, "pk")
    plain = [attribute(model, name.removeprefix("-")) for name in names]
    names = [("-" if name.startswith("-") else "") + column for name, column in zip(names, plain, strict=True)]
    if key in plain:
        return tuple(names[: plain.index(key) + 1])
    # In the direction of the last column, so that one index serves both.
    descending = bool(names) and names[-1].startswith("-")
    return (*names, f"-{key}" if descending else key)


class _Column(NamedTuple):
    name: str
    descending: bool
    nullable: bool


class _Position(NamedTuple):
    where: Where
    values: tuple[Any, ...]


@dataclass(frozen=True)
class _Ordering:
    """The columns of an order, and the cursors of its positions."""

    columns: tuple[_Column, ...]
    scope: str
    payload: TypeAdapter[tuple[Any, ...]]

    def seen(self, backwards: bool) -> tuple[_Column, ...]:
        """The columns, read in this direction."""
        return tuple(column._replace(descending=column.descending != backwards) for column in self.columns)

    def read(self, cursor: str, dialect: str) -> _Position:
        """The position in the cursor. Raises InvalidQuery."""
        try:
            where, *values = self.payload.validate_json(decode_cursor(cursor, self.scope))
        except ValidationError as exc:
            raise InvalidCursor from exc
        if not all(_comparable(value, dialect) for value in values):
            raise InvalidCursor
        return _Position(where, tuple(values))

    def page(self, rows: list[M], position: _Position | None, more: bool) -> KeysetPage[M]:
        """The page of these ordered rows; `more` is whether others follow in the direction read."""
        if position is None:
            return KeysetPage(rows, next=self._at(">", rows[-1]) if more else None, previous=None)
        backwards = position.where in ("<", "<=")
        if not rows:  # the rows were deleted; the row at the position belongs to the opposite direction
            back = self._cursor(">=" if backwards else "<=", position.values)
            return KeysetPage(rows, next=back if backwards else None, previous=None if backwards else back)
        return KeysetPage(
            rows,
            next=self._at(">", rows[-1]) if more or backwards else None,
            previous=self._at("<", rows[0]) if more or not backwards else None,
        )

    def _at(self, where: Where, row: Model) -> str:
        return self._cursor(where, tuple(getattr(row, column.name) for column in self.columns))

    def _cursor(self, where: Where, values: tuple[Any, ...]) -> str:
        return encode_cursor(self.payload.dump_json((where, *values)), self.scope)


@lru_cache(maxsize=256)
def _ordering(model: type[Model], order: tuple[str, ...]) -> _Ordering:
    """Parse an order. Raises SanicBaseError."""
    names = unique_order(model, order)
    columns, types, size = [], [], 0
    for name in names:
        plain = name.removeprefix("-")
        annotation, length, nullable = check_position(model, plain)
        size += length
        columns.append(_Column(plain, name.startswith("-"), nullable))
        types.append(annotation)
    if len({column.name for column in columns}) < len(columns):
        raise SanicBaseError(f"{model.__name__} cannot be ordered by {', '.join(order)}: name each column once.")
    if size > MAX_PAYLOAD:
        raise SanicBaseError(f"{model.__name__} ordered by {', '.join(order)}: a cursor cannot hold so much text.")
    payload: Any = tuple.__class_getitem__((Where, *types))
    scope = "\0".join([model._meta.db_table, *names])
    return _Ordering(tuple(columns), scope, TypeAdapter(payload, config=CURSOR))


def check_position(model: type[Model], name: str) -> tuple[Any, int, bool]:
    """The type of a column in a cursor, its size there, and whether it can be NULL. Raises SanicBaseError."""
    column = column_of(model, name)
    if column is None:
        raise SanicBaseError(f"{model.__name__} has no column {name!r} to be ordered by.")
    kind = column_type(column)
    if kind is None or kind.size is None or getattr(column, "max_length", 0) > MAX_TEXT_LENGTH:
        raise SanicBaseError(
            f"{model.__name__}.{name} cannot hold a position. Order by numbers, times, or text of at most "
            f"{MAX_TEXT_LENGTH} characters."
        )
    return (kind.annotation | None if column.null else kind.annotation), kind.size, column.null


def _comparable(value: object, dialect: str) -> bool:
    """Whether the dialect can compare with a value that its columns cannot store."""
    if isinstance(value, str):
        return dialect != "postgres" or "\0" not in value
    if isinstance(value, float | Decimal):
        return dialect != "mysql" or math.isfinite(value)
    return True


def _beyond(columns: tuple[_Column, ...], position: _Position, nulls_greatest: bool) -> Q:
    """The rows after the position."""
    (column, *others), value = columns, position.values[0]
    condition = _after(columns, position.values, nulls_greatest, inclusive=position.where in (">=", "<="))
    if not others or value is None or _with_nulls(column, nulls_greatest):
        return condition
    # Repeated for the first column alone: not every database turns the alternatives into a range scan.
    return _where(f"{column.name}__{_comparison(column)}e", value) & condition


def _after(columns: tuple[_Column, ...], values: tuple[Any, ...], nulls_greatest: bool, *, inclusive: bool) -> Q:
    column, value = columns[0], values[0]
    after = _strictly_after(column, value, nulls_greatest)
    if len(columns) > 1:
        ties = _same(column, value) & _after(columns[1:], values[1:], nulls_greatest, inclusive=inclusive)
        return ties if after is None else after | ties
    assert after is not None  # noqa: S101  (the last column is the primary key, which is never NULL)
    return after | _same(column, value) if inclusive else after


def _strictly_after(column: _Column, value: Any, nulls_greatest: bool) -> Q | None:
    """The rows after those with this value in the column; None when there can be none."""
    if value is None:
        return None if _nulls_last(column, nulls_greatest) else _where(f"{column.name}__isnull", False)
    greater = _where(f"{column.name}__{_comparison(column)}", value)
    return greater | _where(f"{column.name}__isnull", True) if _with_nulls(column, nulls_greatest) else greater


def _same(column: _Column, value: Any) -> Q:
    return _where(f"{column.name}__isnull", True) if value is None else _where(column.name, value)


def _where(filter_name: str, value: Any) -> Q:
    return Q(**{filter_name: value})


def _nulls_last(column: _Column, nulls_greatest: bool) -> bool:
    return column.descending != nulls_greatest


def _with_nulls(column: _Column, nulls_greatest: bool) -> bool:
    return column.nullable and _nulls_last(column, nulls_greatest)


def _comparison(column: _Column) -> str:
    return "lt" if column.descending else "gt"
