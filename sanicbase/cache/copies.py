"""Copies of shared entries, so that a caller cannot change the entry of another one."""

from __future__ import annotations

import types
from collections.abc import Callable
from copy import deepcopy
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from sanicbase.cache.loaded_entry import LoadedEntry, loaded_by, set_loaded

__all__ = ["copier"]

SCALARS = (int, float, complex, str, bytes, type(None), date, datetime, time, timedelta, timezone, Decimal, UUID, Enum)

E = TypeVar("E", bound=LoadedEntry)
Copy = Callable[[Any], Any]


def copier(cls: type[E]) -> Callable[[E], E] | None:
    """A function that copies the mutable parts of an entry; None when there are none.

    Entries of a class with immutable fields are shared. If only some fields are lists, dictionaries or sets, these are
    copied recursively, and the others are shared. Everything else is copied by `copy.deepcopy`.
    """
    if _has_state_of_its_own(cls):
        return deepcopy
    changeable = {
        name: copy_value for name, field in cls.model_fields.items() if (copy_value := _copier_of(field.annotation))
    }
    if not changeable:
        return None if cls.model_config.get("frozen") else _copier_of_fields(cls, {})
    return _copier_of_fields(cls, changeable)


def _copier_of_fields(cls: type[E], changeable: dict[str, Copy]) -> Callable[[E], E]:
    copies = list(changeable.items())
    slots = vars(BaseModel)  # whose own copies take twice the time
    set_dict, names_slot = slots["__dict__"].__set__, slots["__pydantic_fields_set__"]
    get_names, set_names = names_slot.__get__, names_slot.__set__
    set_extra, set_private = slots["__pydantic_extra__"].__set__, slots["__pydantic_private__"].__set__
    new_instance, is_frozen = object.__new__, bool(cls.model_config.get("frozen"))

    def copied(entry: E) -> E:
        values = entry.__dict__.copy()
        for name, copy_value in copies:
            values[name] = copy_value(values[name])
        new = new_instance(cls)
        set_dict(new, values)
        names = get_names(entry)
        set_names(new, names if is_frozen else names.copy())
        set_extra(new, None)
        set_private(new, None)
        if (loaded := loaded_by(entry)) is not None:
            set_loaded(new, loaded)
        return new

    return copied


def _has_state_of_its_own(cls: type[BaseModel]) -> bool:
    """Whether an entry has more than the values of its fields."""
    config = cls.model_config
    if config.get("extra") == "allow" or cls.__private_attributes__:
        return True
    return any(isinstance(value, cached_property) for base in cls.__mro__ for value in vars(base).values())


def _copier_of(annotation: Any) -> Copy | None:
    """How a value of this type is copied; None when it is immutable."""
    if _is_immutable(annotation):
        return None
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is list and _is_immutable(parts[0]):
        return list.copy
    if origin is dict and _is_immutable(parts[1]):
        return dict.copy
    if origin is set:
        return set.copy
    return _copy_json


def _is_immutable(annotation: Any, seen: frozenset[type] = frozenset()) -> bool:
    """Whether values of this type are immutable; `seen` are the models around it, which may contain themselves."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_immutable(parts[0], seen)
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType, tuple, frozenset):
        return all(_is_immutable(part, seen) for part in parts if part is not Ellipsis)
    if not isinstance(annotation, type):
        return False
    if issubclass(annotation, BaseModel):
        return annotation in seen or _is_frozen(annotation, seen | {annotation})
    return issubclass(annotation, SCALARS)


def _is_frozen(cls: type[BaseModel], seen: frozenset[type]) -> bool:
    if not cls.model_config.get("frozen") or _has_state_of_its_own(cls):
        return False
    return all(_is_immutable(field.annotation, seen) for field in cls.model_fields.values())


def _copy_json(value: Any) -> Any:
    """A copy of a value of JSON's types; values of other types are copied by `copy.deepcopy`."""
    kind = type(value)
    if kind in JSON_SCALARS:
        return value
    if kind is list:
        return [_copy_json(item) for item in value]
    if kind is dict:
        return {name: _copy_json(item) for name, item in value.items()}
    return deepcopy(value)


JSON_SCALARS = frozenset({int, float, str, bytes, bool, type(None), date, datetime, Decimal, UUID})
