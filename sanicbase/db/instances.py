"""Instances and dictionaries from rows, without Tortoise's work for each field.

Tortoise sets each attribute by itself and converts NULLs as well. Here the row becomes the instance's dictionary, and
only the fields that need it are converted, by the same functions of the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, TypeVar

from tortoise import fields
from tortoise.fields.base import Field
from tortoise.models import Model
from tortoise.timezone import get_default_timezone, get_use_tz

__all__ = [
    "ColumnConverter",
    "InstanceFactory",
    "as_dictionaries",
    "column_converter",
    "instance_factory",
    "make_instances",
]

M = TypeVar("M", bound=Model)

Converter = Callable[[Any], Any]
ColumnConverter = Callable[[Sequence[dict[str, Any]], str], None]
Maker = Callable[[Iterable[Any]], list[dict[str, Any]]]

UTC_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?\+00:00")
"""What SQLite keeps of a datetime in UTC."""


def as_dictionaries(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows of one statement: records of asyncpg or sqlite3 as new dictionaries, dictionaries as they are."""
    if not rows or type(rows[0]) is dict:
        return rows if type(rows) is list else list(rows)
    return _maker(tuple(rows[0].keys()))(rows)


@lru_cache(maxsize=1000)
def _maker(names: tuple[str, ...]) -> Maker:
    """A function that makes the dictionaries of rows with these columns.

    It is compiled, like the methods of a named tuple: a display of known keys is the fastest way to a dictionary.
    """
    variables = [f"v{index}" for index in range(len(names))]
    pairs = ", ".join(f"{name!r}: {variable}" for name, variable in zip(names, variables, strict=True))
    source = f"lambda rows: [{{{pairs}}} for {', '.join(variables)}, in rows]"
    make: Maker = eval(source)  # noqa: S307  (it has no names and values but literals)
    return make


class InstanceFactory:
    """Makes the instances of a model from whole rows, as `Model._init_from_db` does."""

    def __init__(self, model: type[Model]) -> None:
        meta = model._meta
        self.base_query = meta.basequery_all_fields  # another one after Tortoise is initialized again
        self._columns = frozenset(meta.db_fields)
        self._attributes = dict(meta.fields_db_projection_reverse)
        self._renamed = any(column != attribute for column, attribute in self._attributes.items())
        self._has_generated_key = meta.db_pk_column in meta.generated_db_fields
        self._converters: list[tuple[str, Converter]] = []  # of values that are not NULL
        self._own_converters: list[tuple[str, Converter]] = []  # which may convert NULL
        for _, attribute, field in meta.db_default_fields:
            self._converters.append((attribute, field.field_type))
        for _, attribute, field in meta.db_complex_fields:
            convert: Converter = field.to_python_value
            if _is_moment(field) and _is_utc():
                convert = _in_utc(convert)
            (self._converters if _keeps_null(field) else self._own_converters).append((attribute, convert))

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether the row has exactly the model's columns."""
        return row.keys() == self._columns

    def instance(self, model: type[M], row: dict[str, Any]) -> M:
        """A new instance of a whole row, which becomes its dictionary."""
        state = {attribute: row[column] for column, attribute in self._attributes.items()} if self._renamed else row
        for attribute, convert in self._converters:
            if (value := state[attribute]) is not None:
                state[attribute] = convert(value)
        for attribute, convert in self._own_converters:
            state[attribute] = convert(state[attribute])
        state["_partial"] = False
        state["_saved_in_db"] = True
        state["_custom_generated_pk"] = not self._has_generated_key
        state["_await_when_save"] = {}
        instance = model.__new__(model)
        set_attribute(instance, "__dict__", state)
        return instance


set_attribute = object.__setattr__  # a model's own is for its fields


def make_instances(model: type[M], rows: Sequence[Any]) -> list[M]:
    """New instances of the rows of one statement."""
    factory, states = instance_factory(model), as_dictionaries(rows)
    if factory is None or not (states and factory.fits(states[0])):
        return [model._init_from_db(**state) for state in states]
    return [factory.instance(model, state) for state in states]


_factories: dict[type[Model], tuple[object, InstanceFactory | None]] = {}


def instance_factory(model: type[Model]) -> InstanceFactory | None:
    """The factory of a model; None for a model whose attributes are not all in its instances' dictionaries."""
    base_query = model._meta.basequery_all_fields
    known = _factories.get(model)
    if known is None or known[0] is not base_query:
        factory = InstanceFactory(model) if _is_plain(model) else None
        known = _factories[model] = base_query, factory
    return known[1]


def _is_plain(model: type[Model]) -> bool:
    """Whether no attribute of a column is a descriptor, such as a property or a slot, which Tortoise would set."""
    names = (*model._meta.fields_db_projection, "_partial", "_saved_in_db", "_custom_generated_pk", "_await_when_save")
    attributes = (vars(parent).get(name) for parent in model.__mro__ for name in names)
    return not any(hasattr(type(value), "__set__") for value in attributes if value is not None)


def column_converter(convert: Converter) -> ColumnConverter:
    """A function that converts a column of dictionaries by a field's own conversion, `field.to_python_value`."""
    field = getattr(convert, "__self__", None)
    if isinstance(field, fields.DatetimeField) and _is_moment(field) and _is_utc():
        return partial(_convert_moments, _in_utc(convert))
    return partial(_convert_all, convert)


def _convert_all(convert: Converter, rows: Sequence[dict[str, Any]], name: str) -> None:
    for row in rows:
        row[name] = convert(row[name])


def _convert_moments(convert: Converter, rows: Sequence[dict[str, Any]], name: str) -> None:
    for row in rows:
        value = row[name]
        if type(value) is not datetime or value.tzinfo is not UTC:
            row[name] = convert(value)


def _is_moment(field: Field[Any]) -> bool:
    """Whether the field is a datetime that Tortoise converts."""
    return type(field).to_python_value is fields.DatetimeField.to_python_value and "to_python_value" not in vars(field)


def _is_utc() -> bool:
    """Whether Tortoise converts datetimes to UTC, which a Config says."""
    return get_use_tz() and getattr(get_default_timezone(), "key", "") == "UTC"


def _in_utc(convert: Converter) -> Converter:
    """A shorter way for what drivers return mostly: a datetime in UTC, MySQL's without its zone, SQLite's text of one.

    These have `datetime.UTC`; Tortoise would give each an equal zone of its own.
    """

    def moment(value: Any) -> Any:
        if type(value) is datetime:
            if value.tzinfo is UTC:
                return value
            if value.tzinfo is None:
                return value.replace(tzinfo=UTC)
        elif type(value) is str and UTC_TEXT.fullmatch(value):
            try:
                return datetime.fromisoformat(value)
            except ValueError:
                return convert(value)
        return convert(value)

    return moment


def _keeps_null(field: Field[Any]) -> bool:
    """Whether the field is Tortoise's and returns None for None, as all of them do."""
    function = field.to_python_value
    if isinstance(function, partial):  # of a time, see values.py
        function = function.args[0]
    return getattr(function, "__module__", "").startswith("tortoise.fields.")
