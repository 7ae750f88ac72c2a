"""Settings that are lists, as they are written in the environment, `.env` and files: `a,b`, or JSON."""

from __future__ import annotations

import collections
import json
from collections import abc
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from typing_extensions import TypeAliasType

__all__ = ["is_list", "items"]

LISTS: tuple[type, ...] = (
    list, tuple, set, frozenset, collections.deque, abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet,
    abc.Collection, abc.Iterable,
)  # fmt: skip


def is_list(annotation: object) -> bool:
    """Whether a type is a list, a tuple or a set, or one of those and None. A union with `str` is none of them."""
    if isinstance(annotation, TypeAliasType):
        return is_list(annotation.__value__)
    origin = get_origin(annotation)
    if origin is Annotated:
        return is_list(get_args(annotation)[0])
    if origin in (Union, UnionType):
        choices = [choice for choice in get_args(annotation) if choice is not NoneType]
        return bool(choices) and all(map(is_list, choices))
    return (origin or annotation) in LISTS


def items(text: str) -> Any:
    """The items of `a,b`, without the blanks around them and without empty ones, or what the JSON `["a", "b"]` is.

    Raises ValueError for what begins with `[` and is no JSON.
    """
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [item for part in text.split(",") if (item := part.strip())]
