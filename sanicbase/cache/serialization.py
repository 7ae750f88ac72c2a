"""Entries as JSON and back, and the values that an entry was loaded with.

The JSON has the fields by their names, not their aliases, and no computed fields. Serializers, validators and types
unknown to JSON may still change a value. So each loaded entry is compared with what its JSON gives back, and stored
only when both are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

__all__ = ["LoadedValues", "describe_loss", "dump_json", "dump_lossless", "is_same_json", "load_json"]

M = TypeVar("M", bound=BaseModel)


class LoadedValues:
    """The values that an entry was loaded with: JSON, or copies where JSON would change them.

    Any two are equal, so that entries are compared by their fields.
    """

    __slots__ = ("_copies", "payload")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, payload: bytes | None, copies: Mapping[str, Any] | None = None) -> None:
        self.payload = payload
        self._copies = copies

    @classmethod
    def of(cls, entry: BaseModel) -> LoadedValues:
        """The values of an entry that was just loaded."""
        payload = dump_lossless(entry, type(entry))
        return cls(payload, deepcopy(entry.__dict__) if payload is None else None)

    def values(self, kind: type[BaseModel]) -> Mapping[str, Any]:
        """The values by the names of their fields."""
        return load_json(kind, self.payload).__dict__ if self.payload is not None else self._copies or {}

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, LoadedValues)


def dump_json(entry: BaseModel) -> bytes:
    """The entry as JSON. Raises the errors of its types for values without JSON."""
    return entry.model_dump_json(by_alias=False, round_trip=True, warnings=False).encode()


def load_json(kind: type[M], raw: bytes | str) -> M:
    """The entry in the JSON. Raises ValidationError when it does not fit the class."""
    return kind.model_validate_json(raw, by_alias=False, by_name=True)


def dump_lossless(entry: BaseModel, kind: type[BaseModel]) -> bytes | None:
    """The entry as JSON; None when JSON would change it."""
    try:
        raw = dump_json(entry)
        return raw if load_json(kind, raw) == entry else None
    except Exception:  # types may raise anything; the entry is valid, and just not stored
        return None


def describe_loss(entry: BaseModel, kind: type[BaseModel]) -> str:
    """The field that JSON would change, and how."""
    try:
        again = load_json(kind, dump_json(entry))
    except ValidationError as exc:  # values may be secret
        first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))!r}: {first['msg']}"
    except Exception as exc:
        return str(exc).replace("\n", " ")
    if type(again) is not type(entry):
        return f"a {type(entry).__name__} becomes a {kind.__name__}"
    for name in kind.model_fields:
        one, other = getattr(entry, name), getattr(again, name)
        if one != other:
            return f"{name!r} of type {type(one).__name__} becomes another {type(other).__name__}"
    return "an attribute that is not a field is lost"


def is_same_json(one: object, other: object) -> bool:
    """Whether two values are the same JSON, in which `true` is not `1`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same_json, one, other))
    return one is other or (isinstance(one, bool) is isinstance(other, bool) and one == other)
