"""Instances from rows, without Tortoise's work for each field.

Tortoise sets each attribute by itself and converts NULLs as well. Here the row becomes the instance's dictionary, and
only the fields that need it are converted, by the same functions of the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tortoise import fields
from tortoise.fields.base import Field
from tortoise.models import Model
from tortoise.timezone import get_default_timezone, get_use_tz

__all__ = ["InstanceFactory", "instance_factory"]

Converter = Callable[[Any], Any]

UTC_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?\+00:00")
"""What SQLite keeps of a datetime in UTC."""


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
            convert = _moment_converter(field) if _is_moment(field) else field.to_python_value
            (self._converters if _keeps_null(field) else self._own_converters).append((attribute, convert))

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether the row has exactly the model's columns."""
        return row.keys() == self._columns

    def fill(self, instance: Model, row: Mapping[str, Any]) -> None:
        """Set all attributes of a new instance."""
        state: dict[str, Any] = instance.__dict__
        state["_partial"] = False
        state["_saved_in_db"] = True
        state["_custom_generated_pk"] = not self._has_generated_key
        state["_await_when_save"] = {}
        if self._renamed:
            for column, attribute in self._attributes.items():
                state[attribute] = row[column]
        else:
            state.update(row)
        for attribute, convert in self._converters:
            if (value := state[attribute]) is not None:
                state[attribute] = convert(value)
        for attribute, convert in self._own_converters:
            state[attribute] = convert(state[attribute])


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


def _is_moment(field: Field[Any]) -> bool:
    return type(field).to_python_value is fields.DatetimeField.to_python_value and "to_python_value" not in vars(field)


def _moment_converter(field: Field[Any]) -> Converter:
    """Tortoise's, with a shorter way for what drivers return mostly: a datetime in UTC, or SQLite's text of one."""
    convert = field.to_python_value
    if not get_use_tz():
        return convert
    zone = get_default_timezone()

    def moment(value: Any) -> Any:
        if type(value) is str and UTC_TEXT.fullmatch(value):
            try:
                return datetime.fromisoformat(value).astimezone(zone)
            except ValueError:
                return convert(value)
        return value.astimezone(zone) if type(value) is datetime and value.tzinfo is UTC else convert(value)

    return moment


def _keeps_null(field: Field[Any]) -> bool:
    """Whether the field is Tortoise's and returns None for None, as all of them do."""
    function = field.to_python_value
    if isinstance(function, partial):  # of a time, see values.py
        function = function.args[0]
    return getattr(function, "__module__", "").startswith("tortoise.fields.")
