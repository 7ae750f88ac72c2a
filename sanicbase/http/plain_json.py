"""Lists of dictionaries of scalars as JSON, written by orjson if pydantic would write the same bytes more slowly.

`values()` returns such lists. pydantic tries the alternatives of a union for every value.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import chain
from types import NoneType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

__all__ = ["plain_writer"]

UNIONS = (typing.Union, types.UnionType)
SCALARS: frozenset[Any] = frozenset((str, int, float, bool, NoneType, datetime, date, UUID))
UTC_ONLY = frozenset((None, UTC))

Writer = Callable[[Any], bytes | None]


def plain_writer(annotation: Any) -> Writer | None:
    """A function that writes values of the annotation as JSON; None for other annotations.

    The function returns None for a value that pydantic must serialize or refuse, such as one of a type that is not in
    the annotation.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list and typing.get_origin(arguments[0]) is dict:
        scalars = _scalars(*typing.get_args(arguments[0]))
        return (lambda value: _written(value, value, scalars)) if scalars else None
    if origin is dict:
        scalars = _scalars(*arguments)
        return (lambda value: _written(value, [value], scalars)) if scalars else None
    return None


def _scalars(key: Any, value: Any) -> frozenset[Any]:
    """The types of a dictionary's values; empty if some are not scalars."""
    if value is Any or value is object:
        members = SCALARS
    else:
        members = frozenset(typing.get_args(value) if typing.get_origin(value) in UNIONS else (value,))
    return members if key is str and members <= SCALARS else frozenset()


def _written(value: Any, rows: Any, scalars: frozenset[Any]) -> bytes | None:
    if type(rows) is not list or not {dict}.issuperset(map(type, rows)):
        return None
    values = [*chain.from_iterable(map(dict.values, rows))]
    kinds = {*map(type, values)}
    if not kinds <= scalars:
        return None
    if datetime in kinds and not all(map(_is_utc, {one.tzinfo for one in values if type(one) is datetime})):
        return None  # both round an offset that has seconds, in different ways
    try:
        return orjson.dumps(value, option=orjson.OPT_UTC_Z)
    except TypeError:  # a key that is not text, a number beyond 64 bits, a lone surrogate
        return None


def _is_utc(zone: Any) -> bool:
    return zone in UTC_ONLY or (isinstance(zone, ZoneInfo) and zone.key == "UTC")
