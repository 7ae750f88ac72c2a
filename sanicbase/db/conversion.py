"""The value of a column's type for a value of another one, when the conversion loses nothing.

Much as in pydantic's lax mode, but no flag and no float is a whole number: a key 1.5 must not find row 1.
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

__all__ = ["AS_IT_IS", "DEEPEST", "MIDNIGHT", "WRONG_TYPE", "converter", "plain_type", "typed"]

MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001  (of a clock without a zone)
DEEPEST = 31  # levels of JSON; MariaDB takes no more
MOST_DIGITS = 30  # of an integer, which is beyond every column
INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
AS_IT_IS = (Expression, Term, DatabaseDefault)
"""What Tortoise or the database turns into a value."""
WRONG_TYPE = (ValueError, TypeError, AttributeError, ArithmeticError, FieldError)
"""What Tortoise's fields raise for a value that they cannot convert."""

Converter = Callable[[Any, Any], Any]


def typed(field: Field[Any], value: Any, *, exact: bool = True) -> Any:
    """The value in the type of the field's column; None stays None. What Tortoise resolves by itself is left as it is.

    | column | takes besides its own type |
    |---|---|
    | int | texts of digits, Decimals without a fraction; no bool and no float, not even 1.0 |
    | float | int, Decimal, texts of numbers; no bool, and no int that it cannot hold exactly |
    | Decimal | int, float (as it is printed), texts of numbers; no bool |
    | text | UUID and int, as they are printed; no bool |
    | bool | 0, 1 and the texts that pydantic takes: "true", "off", … |
    | datetime, date, time | ISO 8601 texts, without a zone in UTC; a date is its midnight, and a midnight its date |
    | timedelta | ISO 8601 texts |
    | UUID | its texts |
    | bytes | bytearray and memoryview |
    | an enumeration | the values of its members |
    | JSON | texts of JSON; inside of it tuples become lists, and keys are texts |

    A Decimal with more digits after the point than the column is refused where it has to be `exact`, else it is kept.
    Raises InvalidValue.
    """
    if value is None or isinstance(value, AS_IT_IS):
        return value
    name = field.model_field_name
    convert = converter(type(field))
    try:
        found = field.to_python_value(value) if convert is None else convert(field, value)
    except OverflowError as exc:
        raise InvalidValue(f"{name!r} cannot hold so large a value.", path=name, code="out_of_range") from exc
    except WRONG_TYPE as exc:
        kind = getattr(field.field_type, "__name__", "JSON")
        raise InvalidValue(f"{name!r} takes a value of type {kind}.", path=name, code="wrong_type") from exc
    if exact and isinstance(field, fields.DecimalField):
        return _quantized(field, found)
    return found


def _integer(field: object, value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str):
        if not INTEGER.fullmatch(value):
            raise ValueError
        return int(value)
    if isinstance(value, Decimal):
        if value.adjusted() > MOST_DIGITS:  # it may have millions
            raise OverflowError
        if value != value.to_integral_value():
            raise ValueError
        return int(value)
    return int(operator.index(value))


def _float(field: object, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise TypeError
    found = float(value)
    if isinstance(value, int) and int(found) != value:
        raise ValueError
    return found


def _decimal(field: object, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise TypeError
    return Decimal(repr(float(value)) if isinstance(value, float) else value)


def _quantized(field: Any, value: Decimal) -> Decimal:
    """With as many digits after the point as the column has."""
    if not value.is_finite() or (value and value.adjusted() >= field.max_digits):
        return value  # which its validator refuses
    digits = len(value.as_tuple().digits)
    found = value.quantize(field.quant, context=Context(prec=digits + field.max_digits + field.decimal_places))
    if found != value:
        name, places = field.model_field_name, field.decimal_places
        message = f"{name!r} takes {places} digits after the point at most. Round the value first."
        raise InvalidValue(message, path=name, code="out_of_range")
    return found or found + 0  # there is no -0 in a column


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
    found: Enum = field.enum_type(value if isinstance(value, field.enum_type) else _integer(field, value))
    return found


def _char_member(field: Any, value: Any) -> Enum:
    found: Enum = field.enum_type(value)
    return found


def _json(field: Any, value: Any) -> Any:
    if isinstance(value, str | bytes):
        value = field.to_python_value(value)
        if isinstance(value, str):  # Tortoise would take it for a text of JSON once more
            raise TypeError
    if isinstance(field.field_type, type) and issubclass(field.field_type, BaseModel) and isinstance(value, dict):
        return field.field_type.model_validate(value)
    if isinstance(value, BaseModel) or field.encoder is not JSON_DUMPS:
        return value
    return _plain_json(value)


JSON = frozenset((dict, list, str, int, float, bool, type(None)))


def _plain_json(value: Any) -> Any:
    """As it is read back. Raises TypeError for what is no JSON; what is too deep is left to Fits."""
    waiting, plain = [(value, 1)], True
    while waiting:
        part, level = waiting.pop()
        plain &= type(part) in JSON
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
        if level <= DEEPEST:  # one that holds itself has no end
            waiting += [(each, level + 1) for each in inside]
    return value if plain else _rebuilt(value)


def _rebuilt(value: Any, level: int = 0) -> Any:
    if level > DEEPEST or type(value) in (bool, type(None)):
        return value
    if isinstance(value, dict):
        return {str.__str__(key): _rebuilt(each, level + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rebuilt(each, level + 1) for each in value]
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
    """How values become those of a field of this class; None for one that converts them in its own way."""
    for cls in kind.__mro__:
        if cls in CONVERTERS:
            return CONVERTERS[cls]
        if "to_python_value" in vars(cls) or "to_db_value" in vars(cls):
            return None
    return None


PLAIN: dict[Converter | None, type] = {
    _integer: int,
    _float: float,
    _text: str,
    _flag: bool,
    _uuid: UUID,
    _bytes: bytes,
    _date: date,
}


@cache
def plain_type(kind: type[Field[Any]]) -> type | None:
    """The type whose values a field of this class leaves as they are, if it has one."""
    return PLAIN.get(converter(kind))
