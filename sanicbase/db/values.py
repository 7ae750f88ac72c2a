"""Conversion and validation of column values, before the database sees them.

Databases accept different values: SQLite accepts text of any length, PostgreSQL no NUL. A value that is valid in
development must be valid in production, so the strictest of them decides.

Values are converted when that is lossless, similar to pydantic's lax mode; see conversion.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from tortoise import fields
from tortoise.exceptions import ValidationError
from tortoise.fields.base import Field
from tortoise.models import Model
from tortoise.validators import Validator

from sanicbase.db.conversion import EXPRESSIONS, MAX_JSON_DEPTH, MIDNIGHT, converter, native_type, to_column_type
from sanicbase.db.keys import are_normalized, attribute, foreign_key, is_to_many, normalize_values
from sanicbase.errors import InvalidValue

__all__ = [
    "ColumnValidator",
    "assignable_values",
    "check_field_names",
    "column_value",
    "convert_values",
    "converted_attributes",
    "is_valid_value",
    "prepare_field",
    "prepare_relations",
    "unstorable_character",
]

JSON_NUMBERS = -(2**63), 2**64 - 1
MICROSECOND = timedelta(microseconds=1)


class ColumnValidator(Validator):
    """Raises InvalidValue for a value that one of the databases could not store in the field's column."""

    def __init__(self, field: Field[Any]) -> None:
        self._path = field.model_field_name
        self._length = field.max_length if isinstance(field, fields.CharField) else None
        bounds: dict[str, Any] = field.constraints
        self._min, self._max = bounds.get("ge", -math.inf), bounds.get("le", math.inf)
        self._decimal = field if isinstance(field, fields.DecimalField) else None

    def __call__(self, value: Any) -> None:
        """Called by Tortoise for each value that is written."""
        if value is None:
            raise InvalidValue(f"{self._path!r} cannot be null.", path=self._path, code="null")
        if isinstance(value, str):
            self._check_text(value)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise self._invalid_value(f"must not be {value}", "not_finite")
        elif isinstance(value, Decimal):
            self._check_decimal(value)
        elif isinstance(value, int):
            self._check_number(value)
        elif isinstance(value, dict | list):
            self._check_json(value)
        elif isinstance(value, timedelta):
            self._check_span(value)

    def _check_text(self, text: str) -> None:
        if self._length is not None and len(text) > self._length:
            raise self._invalid_value(f"may have at most {self._length} characters, but has {len(text)}", "too_long")
        if character := unstorable_character(text):
            raise self._invalid_value(f"must not contain {character}", "invalid_text")

    def _check_span(self, span: timedelta) -> None:
        if not -(2**63) <= span // MICROSECOND < 2**63:
            raise self._invalid_value("must be at most 106751991 days", "out_of_range")

    def _check_number(self, number: int) -> None:
        if not self._min <= number <= self._max:
            raise self._invalid_value(f"must be between {self._min} and {self._max}", "out_of_range")

    def _check_decimal(self, number: Decimal) -> None:
        if not number.is_finite():
            raise self._invalid_value(f"must not be {number}", "not_finite")
        if self._decimal is not None:
            whole = self._decimal.max_digits - self._decimal.decimal_places
            if number and number.adjusted() >= whole:
                raise self._invalid_value(f"may have at most {whole} digits before the decimal point", "out_of_range")

    def _check_json(self, value: dict[Any, Any] | list[Any]) -> None:
        level: list[Any] = [value]  # not recursive: JSON may be nested deeper than Python's limit
        for _ in range(MAX_JSON_DEPTH):
            level = [part for container in level for part in self._parts(container)]
            if not level:
                return
        raise self._invalid_value(f"may have at most {MAX_JSON_DEPTH} levels of JSON", "too_deep")

    def _parts(self, value: dict[Any, Any] | list[Any]) -> list[Any]:
        """The nested dictionaries and lists; other values are checked."""
        result: list[Any] = []
        for part in value if isinstance(value, list) else [*value.keys(), *value.values()]:
            if isinstance(part, dict | list):
                result.append(part)
            elif isinstance(part, str):
                self._check_text(part)
            elif isinstance(part, float) and not math.isfinite(part):
                raise self._invalid_value(f"must not contain {part}", "not_finite")
            elif isinstance(part, int) and not JSON_NUMBERS[0] <= part <= JSON_NUMBERS[1]:
                raise self._invalid_value("may contain integers from {} to {}".format(*JSON_NUMBERS), "out_of_range")
        return result

    def _invalid_value(self, problem: str, code: str) -> InvalidValue:
        return InvalidValue(f"{self._path!r} {problem}.", path=self._path, code=code)


def unstorable_character(text: str) -> Literal["NUL character", "lone surrogate"] | None:
    """The first kind of character in the text that no text column of every database can hold; None when there is none.

    A lone surrogate is half of a character. Bytes of a header that are not UTF-8 become such halves.
    """
    if "\0" in text:
        return "NUL character"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "lone surrogate"
    return None


def prepare_field(field: Field[Any]) -> None:
    """Make a field of a DBModel validate its values and conditions, and read the same on every database."""
    if not any(isinstance(validator, ColumnValidator) for validator in field.validators):
        field.validators.insert(0, ColumnValidator(field))
        _convert_strictly(field)
        if isinstance(field, fields.TimeField):
            field.to_python_value = partial(_time_of_day, field.to_python_value)  # type: ignore[method-assign]


def _convert_strictly(field: Field[Any]) -> None:
    """Convert the values of conditions like those of columns: Tortoise finds row 1 by 1.5."""
    if converter(type(field)) is None:
        return
    to_db_value, plain = type(field).to_db_value.__get__(field), native_type(type(field))

    def strict(value: Any, instance: Any) -> Any:
        # Values of an object were converted before, see `converted_attributes`.
        if not (value is None or type(value) is plain or isinstance(instance, Model) or isinstance(value, Model)):
            value = to_column_type(field, value, exact=False)
        return to_db_value(value, instance)

    field.to_db_value = strict  # type: ignore[method-assign]


def _time_of_day(to_python_value: Callable[[Any], Any], value: Any) -> Any:
    """MySQL's TIME is a duration, and its drivers return a timedelta."""
    if isinstance(value, timedelta) and timedelta(0) <= value < timedelta(days=1):
        value = (MIDNIGHT + value).time()
    return to_python_value(value)


def check_field_names(model: type[Model], names: Iterable[str]) -> None:
    """Raise InvalidValue for an unknown field; Tortoise ignores such values."""
    meta = model._meta
    if unknown := sorted(set(names) - meta.fields - {"pk"}):
        known = ", ".join(sorted(meta.fields_db_projection))
        raise InvalidValue(
            f"{model.__name__} has no field {unknown[0]!r}. It has: {known}.", path=unknown[0], code="unknown_field"
        )


def prepare_relations(model: type[Model]) -> None:
    """Give the columns of relations their own validators; Tortoise shares those of the related column."""
    for field in model._meta.fields_map.values():
        if field.reference is not None:
            others = [validator for validator in field.validators if not isinstance(validator, ColumnValidator)]
            field.validators = [ColumnValidator(field), *others]
            _convert_strictly(field)


def column_value(field: Field[Any], value: Any) -> Any:
    """The value that the field's column stores. Raises InvalidValue for one that it cannot store."""
    value = to_column_type(field, value)
    if not isinstance(value, EXPRESSIONS):
        try:
            field.validate(value)
        except ValidationError as exc:
            name = field.model_field_name
            raise InvalidValue(f"{name!r} is not valid.", path=name, code="invalid") from exc
    return value


def is_valid_value(field: Field[Any], value: object) -> bool:
    """Whether a row can have that value."""
    try:
        column_value(field, value)
    except InvalidValue:
        return False
    return True


def converted_attributes(row: Model, names: Iterable[str], *, check: bool = True) -> dict[str, Any]:
    """The attributes of an object whose values differ from the stored ones, with the stored values.

    Raises InvalidValue for the first invalid one. Skips values that the database or Tortoise sets and, without `check`,
    values of a column's own type, which the statement validates.
    """
    result: dict[str, Any] = {}
    present, fields_map = row.__dict__, row._meta.fields_map
    for name in names:
        field, value = fields_map[name], present.get(name)
        if value is None and (field.null or name not in present or _is_set_by_database(row, name, field)):
            continue
        if (not check and type(value) is native_type(type(field))) or getattr(field, "auto_now", False):
            continue
        converted = column_value(field, value) if check else to_column_type(field, value)
        if converted is not value:
            result[name] = converted
    return result


def _is_set_by_database(row: Model, name: str, field: Field[Any]) -> bool:
    return field.generated or getattr(field, "auto_now_add", False) or name in row._await_when_save


def convert_values(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by their attributes and in their columns' types; expressions are unchanged.

    Related objects become their keys. Raises InvalidValue for the first invalid value.
    """
    _check_writable(model, values)
    plain = normalize_values(model, values)
    return {name: _convert_value(model._meta.fields_map, name, value) for name, value in plain.items()}


def assignable_values(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by the names that a model's constructor accepts: an object by its relation, a key by its column.

    Raises InvalidValue for an unknown name, an object of another model, and a column that is given twice.
    """
    _check_writable(model, values)
    if are_normalized(model, values):
        return dict(values)
    normalize_values(model, values)  # raises for a column that is given twice
    result: dict[str, Any] = {}
    for name, value in values.items():
        relation = foreign_key(model, name) if isinstance(value, Model) else None
        result[attribute(model, name) if relation is None else relation.model_field_name] = value
    return result


def _check_writable(model: type[Model], names: Iterable[str]) -> None:
    check_field_names(model, names)
    for name in model._meta.fetch_fields.intersection(names):
        if is_to_many(model, name):
            raise InvalidValue(
                f"{model.__name__}.{name} is a relation whose keys are in another table. Write to that one.",
                path=name,
                code="unknown_field",
            )


def _convert_value(fields_map: Mapping[str, Field[Any]], name: str, value: Any) -> Any:
    field = fields_map.get(name)
    return value if field is None else column_value(field, value)
