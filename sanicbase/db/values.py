"""The value that a column has for what it is given, before the database is asked, and what does not fit any column.

Databases differ in what they take: SQLite takes text of any length, MySQL numbers it then refuses, PostgreSQL no NUL.
What was written in development must fit in production, so the narrowest of them decides.

A value is converted when that loses nothing, much as in pydantic's lax mode; see conversion.py.
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

from sanicbase.db.conversion import AS_IT_IS, DEEPEST, MIDNIGHT, converter, plain_type, typed
from sanicbase.db.keys import are_plain, attribute, foreign_key, to_many, without_objects
from sanicbase.errors import InvalidValue

__all__ = [
    "Fits",
    "assignable",
    "check_known",
    "column_value",
    "converted",
    "fit_relations",
    "fits",
    "own_values",
    "prepare",
    "unstorable_character",
]

JSON_NUMBERS = -(2**63), 2**64 - 1
MICROSECOND = timedelta(microseconds=1)


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
        elif isinstance(value, timedelta):
            self._check_span(value)

    def _check_text(self, text: str) -> None:
        if self._length is not None and len(text) > self._length:
            raise self._mistake(f"takes {self._length} characters at most, and there are {len(text)}", "too_long")
        if character := unstorable_character(text):
            raise self._mistake(f"takes no {character}", "invalid_text")

    def _check_span(self, span: timedelta) -> None:
        if not -(2**63) <= span // MICROSECOND < 2**63:
            raise self._mistake("takes spans of up to 106751991 days", "out_of_range")

    def _check_number(self, number: int) -> None:
        if not self._least <= number <= self._greatest:
            raise self._mistake(f"takes numbers from {self._least} to {self._greatest}", "out_of_range")

    def _check_decimal(self, number: Decimal) -> None:
        if not number.is_finite():
            raise self._mistake(f"takes no {number}", "not_finite")
        if self._decimal is not None:
            whole = self._decimal.max_digits - self._decimal.decimal_places
            if number and number.adjusted() >= whole:
                raise self._mistake(f"takes {whole} digits before the point at most", "out_of_range")

    def _check_json(self, value: dict[Any, Any] | list[Any]) -> None:
        level: list[Any] = [value]  # not recursive, for JSON may be nested deeper than Python likes
        for _ in range(DEEPEST):
            level = [part for each in level for part in self._parts(each)]
            if not level:
                return
        raise self._mistake(f"takes {DEEPEST} levels of JSON at most", "too_deep")

    def _parts(self, value: dict[Any, Any] | list[Any]) -> list[Any]:
        """The dictionaries and lists in it; what else is in it was looked at."""
        found: list[Any] = []
        for part in value if isinstance(value, list) else [*value.keys(), *value.values()]:
            if isinstance(part, dict | list):
                found.append(part)
            elif isinstance(part, str):
                self._check_text(part)
            elif isinstance(part, float) and not math.isfinite(part):
                raise self._mistake(f"takes no {part}", "not_finite")
            elif isinstance(part, int) and not JSON_NUMBERS[0] <= part <= JSON_NUMBERS[1]:
                raise self._mistake("takes whole numbers from {} to {}".format(*JSON_NUMBERS), "out_of_range")
        return found

    def _mistake(self, what: str, code: str) -> InvalidValue:
        return InvalidValue(f"{self._path!r} {what}.", path=self._path, code=code)


def unstorable_character(text: str) -> Literal["NUL character", "lone surrogate"] | None:
    """The first kind of character in the text that no text column of every database can hold; None when there is none.

    A lone surrogate is half of a character. Bytes of a header that are not UTF-8 become such halves.
    """
    if "\0" in text:
        return "NUL character"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "lone surrogate"
    return None


def prepare(field: Field[Any]) -> None:
    """Have a field of a DBModel check what is written and asked for, and read the same on every database."""
    if not any(isinstance(validator, Fits) for validator in field.validators):
        field.validators.insert(0, Fits(field))
        _be_strict(field)
        if isinstance(field, fields.TimeField):
            field.to_python_value = partial(_time_of_day, field.to_python_value)  # type: ignore[method-assign]


def _be_strict(field: Field[Any]) -> None:
    """Have conditions look for what a column would have. Tortoise finds row 1 by 1.5, and takes "false" for true."""
    if converter(type(field)) is None:
        return
    to_db_value, plain = type(field).to_db_value.__get__(field), plain_type(type(field))

    def strict(value: Any, instance: Any) -> Any:
        # An object has taken the values of its columns before, see `own_values`.
        if not (value is None or type(value) is plain or isinstance(instance, Model) or isinstance(value, Model)):
            value = typed(field, value, exact=False)
        return to_db_value(value, instance)

    field.to_db_value = strict  # type: ignore[method-assign]


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
            _be_strict(field)


def column_value(field: Field[Any], value: Any) -> Any:
    """What the field's column has when it is given the value. Raises InvalidValue when it cannot have that."""
    value = typed(field, value)
    if not isinstance(value, AS_IT_IS):
        try:
            field.validate(value)
        except ValidationError as exc:
            name = field.model_field_name
            raise InvalidValue(f"{name!r} is not valid.", path=name, code="invalid") from exc
    return value


def fits(field: Field[Any], value: object) -> bool:
    """Whether a row could have that value."""
    try:
        column_value(field, value)
    except InvalidValue:
        return False
    return True


def own_values(row: Model, names: Iterable[str], *, check: bool = True) -> dict[str, Any]:
    """The attributes of an object that differ from what their columns will have, as those will have it.

    Raises InvalidValue for the first one that its column cannot have. Not looked at are values that the database or
    Tortoise gives, and values of a column's own type unless they are to be checked: the statement checks them as well.
    """
    found: dict[str, Any] = {}
    has, fields_map = row.__dict__, row._meta.fields_map
    for name in names:
        field, value = fields_map[name], has.get(name)
        if value is None and (field.null or name not in has or _is_given_later(row, name, field)):
            continue
        if (not check and type(value) is plain_type(type(field))) or getattr(field, "auto_now", False):
            continue
        own = column_value(field, value) if check else typed(field, value)
        if own is not value:
            found[name] = own
    return found


def _is_given_later(row: Model, name: str, field: Field[Any]) -> bool:
    return field.generated or getattr(field, "auto_now_add", False) or name in row._await_when_save


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
    return value if field is None else column_value(field, value)
