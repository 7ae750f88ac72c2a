"""The values of a column as a pydantic type, for filters and cursors from clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from tortoise import fields
from tortoise.exceptions import ValidationError
from tortoise.fields.base import Field as Column
from tortoise.fields.data import CharEnumFieldInstance, IntEnumFieldInstance
from tortoise.models import Model

from sanicbase.db.keys import attribute
from sanicbase.errors import InvalidValue
from sanicbase.numerals import decimal_text, float_text, integer_text

__all__ = ["ColumnType", "annotated", "column_of", "column_type"]

MAX_TEXT = 1000  # characters of a filter on a column without a length
DURATION_LIMIT = timedelta(microseconds=2**63 - 1)
SHORT = 40  # bytes; more than a number, a time or a UUID needs in a cursor
WIDEST_CHARACTER = 6  # bytes: "\u0000"


@dataclass(frozen=True)
class ColumnType:
    """The values that a column can have.

    `annotation` is a pydantic type that accepts only values that the database and Tortoise accept. `size` is the
    maximum of bytes of a value in a cursor, None where the column cannot be part of a position.
    """

    annotation: Any
    size: int | None = SHORT
    ordered: bool = True
    text: bool = False
    moment: bool = False
    check: Callable[[object], object] | None = None
    """Validates text of a query string first; values in cursors are JSON."""


def annotated(annotation: Any, *metadata: object) -> Any:
    """`Annotated` for a type that is known at run time only."""
    return Annotated[(annotation, *metadata)]


def column_of(model: type[Model], name: str) -> Column[Any] | None:
    """The column of the name, also of a relation; None when there is none, or it is not known yet."""
    column = model._meta.fields_map.get(attribute(model, name))
    return column if column is not None and column.has_db_field else None


def column_type(column: Column[Any]) -> ColumnType | None:
    """The type of the column; None for JSON, bytes and times, which have no filters."""
    for kind, make in TYPES:
        if isinstance(column, kind):
            converted = make(column)
            return replace(converted, annotation=annotated(converted.annotation, AfterValidator(_accepted_by(column))))
    return None


def _accepted_by(column: Column[Any]) -> Callable[[Any], Any]:
    """The column's own validators, which Tortoise applies to every value of a filter."""

    def check(value: Any) -> Any:
        try:
            column.to_db_value(value, column.model)
        except (ValidationError, InvalidValue) as exc:
            raise _refusal(str(exc)) from exc
        return value

    return check


def _utc(value: datetime) -> datetime:
    """The same datetime in UTC: SQLite and MySQL compare text, without its zone."""
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as exc:
        raise _refusal("This moment is before the year 1 or after the year 9999 in UTC.") from exc


def _refusal(reason: str) -> PydanticCustomError:
    return PydanticCustomError("value_error", "{reason}", {"reason": reason})


def _integer(column: Any) -> ColumnType:
    limits = column.constraints
    return ColumnType(Annotated[int, Field(ge=limits["ge"], le=limits["le"])], check=integer_text)


def _characters(column: Any) -> ColumnType:
    length = column.max_length
    return ColumnType(Annotated[str, Field(max_length=length)], size=length * WIDEST_CHARACTER, text=True)


def _decimal(column: Any) -> ColumnType:
    limits = Field(max_digits=column.max_digits, decimal_places=column.decimal_places)
    return ColumnType(Annotated[Decimal, limits], size=SHORT + column.max_digits, check=decimal_text)


TYPES: list[tuple[type, Callable[[Any], ColumnType]]] = [  # the first match, so subclasses come first
    (IntEnumFieldInstance, lambda column: ColumnType(column.enum_type, check=integer_text)),
    (CharEnumFieldInstance, lambda column: ColumnType(column.enum_type, _characters(column).size, text=True)),
    (fields.IntField, _integer),
    (fields.CharField, _characters),
    (fields.TextField, lambda _: ColumnType(Annotated[str, Field(max_length=MAX_TEXT)], size=None, text=True)),
    (fields.BooleanField, lambda _: ColumnType(bool, ordered=False)),
    (fields.DecimalField, _decimal),
    (fields.DatetimeField, lambda _: ColumnType(Annotated[datetime, AfterValidator(_utc)], moment=True)),
    (fields.DateField, lambda _: ColumnType(date)),
    (fields.TimeDeltaField, lambda _: ColumnType(Annotated[timedelta, Field(ge=-DURATION_LIMIT, le=DURATION_LIMIT)])),
    (fields.FloatField, lambda _: ColumnType(float, check=float_text)),
    (fields.UUIDField, lambda _: ColumnType(UUID, ordered=False)),
]
