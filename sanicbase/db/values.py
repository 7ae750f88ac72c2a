"""What fits a column, looked at before the database is asked: the same on every database, and by the field's name.

Databases differ in what they take: SQLite takes text of any length, MySQL numbers it then refuses, PostgreSQL no NUL.
What was written in development must fit in production, so the narrowest of them decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from tortoise import fields
from tortoise.exceptions import FieldError, ValidationError
from tortoise.expressions import Expression
from tortoise.fields.base import DatabaseDefault, Field
from tortoise.models import Model
from tortoise.validators import Validator

from sanicbase.db.keys import are_plain, attribute, foreign_key, to_many, without_objects
from sanicbase.errors import InvalidValue

__all__ = ["WRONG_TYPE", "Fits", "assignable", "check_known", "converted", "fit_relations", "fits", "prepare"]

MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001  (of a clock without a zone)
WRONG_TYPE = (ValueError, TypeError, AttributeError, ArithmeticError, FieldError)
"""What Tortoise's fields raise for a value that they cannot convert."""


class Fits(Validator):
    """Raises InvalidValue for a value that one of the databases could not keep in the field's column."""

    def __init__(self, field: Field[Any]) -> None:
        self._path = field.model_field_name
        self._length = field.max_length if isinstance(field, fields.CharField) else None
        bounds: dict[str, Any] = field.constraints
        self._least, self._greatest = bounds.get("ge", -math.inf), bounds.get("le", math.inf)
        self._decimal = field if isinstance(field, fields.DecimalField) else None

    def __call__(self, value: Any) -> None:
        """Called by Tortoise for each value that is written."""
        if value is None:
            raise InvalidValue(f"{self._path!r} cannot be null.", path=self._path, code="null")
        if isinstance(value, str):
            self._check_text(value)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise self._mistake(f"takes no {value}", "not_finite")
        elif isinstance(value, Decimal):
            self._check_decimal(value)
        elif isinstance(value, int):
            self._check_number(value)
        elif isinstance(value, dict | list):
            self._check_json(value)

    def _check_text(self, text: str) -> None:
        if self._length is not None and len(text) > self._length:
            raise self._mistake(f"takes {self._length} characters at most, and there are {len(text)}", "too_long")
        if "\0" in text:
            raise self._mistake("takes no NUL character", "invalid_text")
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise self._mistake("takes no half of a character (a lone surrogate)", "invalid_text")

    def _check_number(self, number: int) -> None:
        if not self._least <= number <= self._greatest:
            raise self._mistake(f"takes numbers from {self._least} to {self._greatest}", "out_of_range")

    def _check_decimal(self, number: Decimal) -> None:
        if not number.is_finite():
            raise self._mistake(f"takes no {number}", "not_finite")
        if self._decimal is not None:
            whole = self._decimal.max_digits - self._decimal.decimal_places
            if number.adjusted() >= whole:
                raise self._mistake(f"takes {whole} digits before the point at most", "out_of_range")

    def _check_json(self, value: dict[Any, Any] | list[Any]) -> None:
        waiting: list[Any] = [value]  # not recursive, for JSON may be nested deeper than Python likes
        while waiting:
            part = waiting.pop()
            if isinstance(part, dict):
                waiting += [*part.keys(), *part.values()]
            elif isinstance(part, list):
                waiting += part
            elif isinstance(part, str):
                self._check_text(part)
            elif isinstance(part, float) and not math.isfinite(part):
                raise self._mistake(f"takes no {part}", "not_finite")

    def _mistake(self, what: str, code: str) -> InvalidValue:
        return InvalidValue(f"{self._path!r} {what}.", path=self._path, code=code)


def prepare(field: Field[Any]) -> None:
    """Have a field of a DBModel check what is written, and read the same on every database."""
    if not any(isinstance(validator, Fits) for validator in field.validators):
        field.validators.insert(0, Fits(field))
        if isinstance(field, fields.TimeField):
            field.to_python_value = partial(_time_of_day, field.to_python_value)  # type: ignore[method-assign]


def _time_of_day(to_python_value: Callable[[Any], Any], value: Any) -> Any:
    """MySQL's TIME is a duration, and its drivers return one."""
    if isinstance(value, timedelta) and timedelta(0) <= value < timedelta(days=1):
        value = (MIDNIGHT + value).time()
    return to_python_value(value)


def check_known(model: type[Model], names: Iterable[str]) -> None:
    """Raise InvalidValue for a name that is no field of the model; Tortoise drops such values silently."""
    meta = model._meta
    if unknown := sorted(set(names) - meta.fields - {"pk"}):
        known = ", ".join(sorted(meta.fields_db_projection))
        raise InvalidValue(
            f"{model.__name__} has no field {unknown[0]!r}. It has: {known}.", path=unknown[0], code="unknown_field"
        )


def fit_relations(model: type[Model]) -> None:
    """Let the columns of relations have validators of their own; Tortoise gives them those of the related column."""
    for field in model._meta.fields_map.values():
        if field.reference is not None:
            others = [validator for validator in field.validators if not isinstance(validator, Fits)]
            field.validators = [Fits(field), *others]


def fits(field: Field[Any], value: object) -> bool:
    """Whether a row could have that value."""
    try:
        field.validate(field.to_python_value(value))
    except (InvalidValue, ValidationError, *WRONG_TYPE):
        return False
    return True


def converted(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by their attributes and in their columns' types, expressions as they are.

    Related objects become their keys. Raises InvalidValue for the first value that is wrong.
    """
    _check_writable(model, values)
    plain = without_objects(model, values)
    return {name: _converted(model._meta.fields_map, name, value) for name, value in plain.items()}


def assignable(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by the names that a model's object is given them: an object by its relation, a key by its column.

    Raises InvalidValue for an unknown name, an object that does not fit, and a column that is given twice.
    """
    _check_writable(model, values)
    if are_plain(model, values):
        return dict(values)
    without_objects(model, values)  # which compares what is given twice
    found: dict[str, Any] = {}
    for name, value in values.items():
        relation = foreign_key(model, name) if isinstance(value, Model) else None
        found[attribute(model, name) if relation is None else relation.model_field_name] = value
    return found


def _check_writable(model: type[Model], names: Iterable[str]) -> None:
    check_known(model, names)
    for name in model._meta.fetch_fields.intersection(names):
        if to_many(model, name):
            raise InvalidValue(
                f"{model.__name__}.{name} is a relation whose keys are in another table. Write to that one.",
                path=name,
                code="unknown_field",
            )


def _converted(fields_map: Mapping[str, Field[Any]], name: str, value: Any) -> Any:
    field = fields_map.get(name)
    if field is None or isinstance(value, Expression | Model | DatabaseDefault):
        return value
    try:
        value = field.to_python_value(value)
        field.validate(value)
    except ValidationError as exc:
        raise InvalidValue(f"{name!r} is not valid.", path=name, code="invalid") from exc
    except WRONG_TYPE as exc:
        kind = getattr(field.field_type, "__name__", "JSON")
        raise InvalidValue(f"{name!r} takes a value of type {kind}.", path=name, code="wrong_type") from exc
    return value
