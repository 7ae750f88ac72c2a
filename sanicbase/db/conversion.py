"""Lossless conversion of values to the types of columns.

Similar to pydantic's lax mode, but a bool or a float is never an int: a key 1.5 must not match row 1.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from enum import Enum
from functools import cache
from typing import Any
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from pypika_tortoise.terms import Term
from tortoise import fields
from tortoise.exceptions import FieldError
from tortoise.expressions import Expression
from tortoise.fields.base import DatabaseDefault, Field
from tortoise.fields.data import JSON_DUMPS, CharEnumFieldInstance, IntEnumFieldInstance

from sanicbase.errors import InvalidValue

__all__ = [
    "CONVERSION_ERRORS",
    "EXPRESSIONS",
    "MAX_JSON_DEPTH",
    "MIDNIGHT",
    "converter",
    "native_type",
    "to_column_type",
]

MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001  (a naive time)
MAX_JSON_DEPTH = 31  # the limit of MariaDB
MAX_DIGITS = 30  # of an int, more than any column holds
INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
EXPRESSIONS = (Expression, Term, DatabaseDefault)
"""Values that Tortoise or the database evaluates."""
CONVERSION_ERRORS = (ValueError, TypeError, AttributeError, ArithmeticError, FieldError)
"""The exceptions of Tortoise's fields for values that they cannot convert."""

Converter = Callable[[Any, Any], Any]


def to_column_type(field: Field[Any], value: Any, *, exact: bool = True) -> Any:
    """The value in the type of the field's column; None and expressions are returned unchanged.

    | column | accepts besides its own type |
    |---|---|
    | int | strings of digits, Decimals without a fraction; no bool and no float, not even 1.0 |
    | float | int, Decimal, strings of numbers; no bool, and no int that a float cannot hold exactly |
    | Decimal | int, float (by its repr), strings of numbers; no bool |
    | text | UUID and int, by their str; no bool |
    | bool | 0, 1 and the strings that pydantic accepts: "true", "off", … |
    | datetime, date, time | ISO 8601 strings, in UTC without a zone; a date is its midnight, and a midnight its date |
    | timedelta | ISO 8601 strings |
    | UUID | strings |
    | bytes | bytearray and memoryview |
    | an enumeration | the values of its members |
    | JSON | strings of JSON; tuples inside become lists, and keys must be str |

    With `exact`, a Decimal with more decimal places than the column raises InvalidValue, as does any other wrong value.
    """
    if value is None or isinstance(value, EXPRESSIONS):
        return value
    name = field.model_field_name
    convert = converter(type(field))
    try:
        converted = field.to_python_value(value) if convert is None else convert(field, value)
    except OverflowError as exc:
        raise InvalidValue(f"{name!r} cannot hold such a large value.", path=name, code="out_of_range") from exc
    except CONVERSION_ERRORS as exc:
        kind = getattr(field.field_type, "__name__", "JSON")
        raise InvalidValue(f"{name!r} must be a value of type {kind}.", path=name, code="wrong_type") from exc
    if exact and isinstance(field, fields.DecimalField):
        return _quantized(field, converted)
    return converted


def _integer(field: object, value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str):
        if not INTEGER.fullmatch(value):
            raise ValueError
        return int(value)
    if isinstance(value, Decimal):
        if value.adjusted() > MAX_DIGITS:  # it may have millions of digits
            raise OverflowError
        if value != value.to_integral_value():
            raise ValueError
        return int(value)
    return int(operator.index(value))


def _float(field: object, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise TypeError
    converted = float(value)
    if isinstance(value, int) and int(converted) != value:
        raise ValueError
    return converted


def _decimal(field: object, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise TypeError
    return Decimal(repr(float(value)) if isinstance(value, float) else value)


def _quantized(field: Any, value: Decimal) -> Decimal:
    """The value with the column's number of decimal places."""
    if not value.is_finite() or (value and value.adjusted() >= field.max_digits):
        return value  # its validator rejects it
    digits = len(value.as_tuple().digits)
    converted = value.quantize(field.quant, context=Context(prec=digits + field.max_digits + field.decimal_places))
    if converted != value:
        name, places = field.model_field_name, field.decimal_places
        message = f"{name!r} may have at most {places} digits after the decimal point. Round the value first."
        raise InvalidValue(message, path=name, code="out_of_range")
    return converted or converted + 0  # columns have no -0


def _text(field: object, value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        raise TypeError
    return str(value if isinstance(value, UUID) else operator.index(value))


FLAG: TypeAdapter[bool] = TypeAdapter(bool)
SPAN: TypeAdapter[timedelta] = TypeAdapter(timedelta)


def _flag(field: object, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) or (type(value) is int and value in (0, 1)):
        return FLAG.validate_python(value)
    raise TypeError


def _datetime(field: Any, value: Any) -> Any:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return field.to_python_value(value)


def _date(field: object, value: Any) -> date:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        if value.time() != time():
            raise ValueError
        value = value.date()
    if not isinstance(value, date):
        raise TypeError
    return value


def _time(field: Any, value: Any) -> Any:
    if not isinstance(value, time | timedelta):
        value = time.fromisoformat(value)
    value = field.to_python_value(value)
    if not isinstance(value, time):
        raise TypeError
    if value.tzinfo is None or value.tzinfo is UTC or value.utcoffset() is None:
        return value
    return datetime.combine(MIDNIGHT, value).astimezone(UTC).timetz()


def _span(field: object, value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or INTEGER.fullmatch(value):
        raise TypeError
    return SPAN.validate_python(value)


def _uuid(field: object, value: Any) -> UUID:
    if isinstance(value, UUID):
        return value if type(value) is UUID else UUID(int=value.int)
    if not isinstance(value, str):
        raise TypeError
    return UUID(value)


def _bytes(field: object, value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError
    return value if type(value) is bytes else bytes(value)


def _int_member(field: Any, value: Any) -> Enum:
    converted: Enum = field.enum_type(value if isinstance(value, field.enum_type) else _integer(field, value))
    return converted


def _char_member(field: Any, value: Any) -> Enum:
    converted: Enum = field.enum_type(value)
    return converted


def _json(field: Any, value: Any) -> Any:
    if isinstance(value, str | bytes):
        value = field.to_python_value(value)
        if isinstance(value, str):  # Tortoise would parse it as JSON again
            raise TypeError
    if isinstance(field.field_type, type) and issubclass(field.field_type, BaseModel) and isinstance(value, dict):
        return field.field_type.model_validate(value)
    if isinstance(value, BaseModel) or field.encoder is not JSON_DUMPS:
        return value
    return _to_plain_json(value)


JSON_TYPES = frozenset((dict, list, str, int, float, bool, type(None)))


def _to_plain_json(value: Any) -> Any:
    """The value as it is read back. Raises TypeError for a value that is not JSON; ColumnValidator checks the depth."""
    remaining, is_plain = [(value, 1)], True
    while remaining:
        part, level = remaining.pop()
        is_plain &= type(part) in JSON_TYPES
        if isinstance(part, dict):
            if not all(isinstance(key, str) for key in part):
                raise TypeError
            inside: Iterable[Any] = [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple):
            inside = part
        elif part is None or isinstance(part, str | int | float):
            continue
        else:
            raise TypeError
        if level <= MAX_JSON_DEPTH:  # a cyclic value has no end
            remaining += [(item, level + 1) for item in inside]
    return value if is_plain else _rebuild_json(value)


def _rebuild_json(value: Any, level: int = 0) -> Any:
    if level > MAX_JSON_DEPTH or type(value) in (bool, type(None)):
        return value
    if isinstance(value, dict):
        return {str.__str__(key): _rebuild_json(item, level + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rebuild_json(item, level + 1) for item in value]
    return str.__str__(value) if isinstance(value, str) else int(value) if isinstance(value, int) else float(value)


CONVERTERS: dict[type, Converter] = {
    fields.IntField: _integer,
    fields.FloatField: _float,
    fields.DecimalField: _decimal,
    fields.CharField: _text,
    fields.TextField: _text,
    fields.BooleanField: _flag,
    fields.DatetimeField: _datetime,
    fields.DateField: _date,
    fields.TimeField: _time,
    fields.TimeDeltaField: _span,
    fields.UUIDField: _uuid,
    fields.BinaryField: _bytes,
    fields.JSONField: _json,
    IntEnumFieldInstance: _int_member,
    CharEnumFieldInstance: _char_member,
}


@cache
def converter(kind: type[Field[Any]]) -> Converter | None:
    """The converter for fields of this class; None for a class with its own conversion."""
    for cls in kind.__mro__:
        if cls in CONVERTERS:
            return CONVERTERS[cls]
        if "to_python_value" in vars(cls) or "to_db_value" in vars(cls):
            return None
    return None


NATIVE_TYPES: dict[Converter | None, type] = {
    _integer: int,
    _float: float,
    _text: str,
    _flag: bool,
    _uuid: UUID,
    _bytes: bytes,
    _date: date,
}


@cache
def native_type(kind: type[Field[Any]]) -> type | None:
    """The type whose values need no conversion for fields of this class, if there is one."""
    return NATIVE_TYPES.get(converter(kind))
