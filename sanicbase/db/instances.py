"""Instances and dictionaries from rows, without Tortoise's work for each field.

Tortoise sets each attribute by itself and converts NULLs as well. Here the row becomes the instance's dictionary, and
only the fields that need it are converted, by the same functions of the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Protocol, TypeVar

from tortoise import fields
from tortoise.fields.base import Field
from tortoise.models import Model
from tortoise.timezone import get_default_timezone, get_use_tz

__all__ = [
    "TORTOISE",
    "ColumnConverter",
    "Factory",
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
def _maker(names: tuple[str, ...], constants: str = "") -> Maker:
    """A function that makes dictionaries with these keys from rows, and with constants, which are source code.

    It is compiled, like the methods of a named tuple: a display of known keys is the fastest way to a dictionary.
    """
    variables = [f"v{index}" for index in range(len(names))]
    pairs = ", ".join(f"{name!r}: {variable}" for name, variable in zip(names, variables, strict=True))
    source = f"lambda rows: [{{{pairs}{constants}}} for {', '.join(variables)}, in rows]"
    make: Maker = eval(source)  # noqa: S307  (it has no names and values but literals)
    return make


class Factory(Protocol):
    """Makes instances in two steps: the first one for all rows of a statement, the second one for each instance."""

    def states(self, rows: Sequence[Any]) -> Sequence[dict[str, Any]]:
        """What `instance` takes, for each row."""

    def instance(self, model: type[M], state: dict[str, Any]) -> M:
        """A new instance, which keeps the state."""


class InstanceFactory:
    """Makes the instances of a model from whole rows, as `Model._init_from_db` does."""

    def __init__(self, model: type[Model]) -> None:
        meta = model._meta
        self.base_query = meta.basequery_all_fields  # another one after Tortoise is initialized again
        self._attributes = dict(meta.fields_db_projection_reverse)
        is_generated = meta.db_pk_column in meta.generated_db_fields
        self._constants = (
            f", '_partial': False, '_saved_in_db': True, '_custom_generated_pk': {not is_generated}, "
            "'_await_when_save': {}"
        )
        self._converters: list[tuple[str, ColumnConverter]] = []  # of Tortoise's fields
        self._own_converters: list[tuple[str, Converter]] = []  # of a service's, which may depend on the caller
        for _, attribute, field in meta.db_default_fields:
            self._converters.append((attribute, partial(_convert_values, field.field_type)))
        for _, attribute, field in meta.db_complex_fields:
            convert: Converter = field.to_python_value
            if not _keeps_null(field):
                self._own_converters.append((attribute, convert))
            elif _is_moment(field) and _is_utc():
                self._converters.append((attribute, partial(_convert_moments, _in_utc(convert))))
            else:
                self._converters.append((attribute, partial(_convert_values, convert)))

    def fits(self, columns: Iterable[str]) -> bool:
        """Whether they are exactly the model's columns."""
        return self._attributes.keys() == {*columns}

    def states(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """The dictionaries of the instances, of whole rows."""
        if not rows:
            return []
        attributes = self._attributes
        make = _maker(tuple([attributes[column] for column in rows[0].keys()]), self._constants)  # noqa: SIM118
        states = make(map(dict.values, rows) if type(rows[0]) is dict else rows)
        for attribute, convert in self._converters:
            convert(states, attribute)
        return states

    def instance(self, model: type[M], state: dict[str, Any]) -> M:
        """A new instance, whose dictionary the state becomes."""
        for attribute, convert in self._own_converters:
            state[attribute] = convert(state[attribute])
        instance = model.__new__(model)
        set_attribute(instance, "__dict__", state)
        return instance


set_attribute = object.__setattr__  # a model's own is for its fields


class TortoiseFactory:
    """Leaves the instances of any model, from any rows, to Tortoise."""

    def states(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        return as_dictionaries(rows)

    def instance(self, model: type[M], state: dict[str, Any]) -> M:
        """A new instance."""
        return model._init_from_db(**state)


TORTOISE = TortoiseFactory()


def make_instances(model: type[M], rows: Sequence[Any]) -> list[M]:
    """New instances of the rows of one statement."""
    factory: Factory | None = instance_factory(model)
    if not (isinstance(factory, InstanceFactory) and rows and factory.fits(rows[0].keys())):
        factory = TORTOISE
    return [factory.instance(model, state) for state in factory.states(rows)]


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


def _convert_values(convert: Converter, rows: Sequence[dict[str, Any]], name: str) -> None:
    """Convert the values that are not NULL."""
    for row in rows:
        if (value := row[name]) is not None:
            row[name] = convert(value)


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
