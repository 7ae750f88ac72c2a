"""An entry as JSON and back, and the values that it was loaded with.

JSON has the fields by their names, whatever aliases they have for others, and no computed fields. Serializers,
validators and types that JSON does not know may still turn a value into another one. So what was loaded is compared
with what its JSON gives back, once for each load, and is stored only when they are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

__all__ = ["Loaded", "faithful", "lost", "packed", "same", "unpacked"]

M = TypeVar("M", bound=BaseModel)


class Loaded:
    """The values that an entry was loaded with, whatever becomes of the entry.

    They are JSON, or copies where JSON does not give them back. Any two are equal, for entries are compared by their
    fields.
    """

    __slots__ = ("_copies", "payload")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, payload: bytes | None, copies: Mapping[str, Any] | None = None) -> None:
        self.payload = payload
        self._copies = copies

    @classmethod
    def of(cls, entry: BaseModel) -> Loaded:
        """What an entry has that was just loaded."""
        payload = faithful(entry, type(entry))
        return cls(payload, deepcopy(entry.__dict__) if payload is None else None)

    def values(self, kind: type[BaseModel]) -> Mapping[str, Any]:
        """The values by the names of their fields."""
        return unpacked(kind, self.payload).__dict__ if self.payload is not None else self._copies or {}

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Loaded)


def packed(entry: BaseModel) -> bytes:
    """The entry as JSON. Raises what its types raise for values that JSON cannot have."""
    return entry.model_dump_json(by_alias=False, round_trip=True, warnings=False).encode()


def unpacked(kind: type[M], raw: bytes | str) -> M:
    """The entry that was packed. Raises ValidationError for what does not fit the class."""
    return kind.model_validate_json(raw, by_alias=False, by_name=True)


def faithful(entry: BaseModel, kind: type[BaseModel]) -> bytes | None:
    """The entry as JSON; None when JSON does not give it back as it is."""
    try:
        raw = packed(entry)
        return raw if unpacked(kind, raw) == entry else None
    except Exception:  # whatever a type's own functions raise; the entry is right, and only not stored
        return None


def lost(entry: BaseModel, kind: type[BaseModel]) -> str:
    """Which field of an entry JSON does not give back as it is, and what comes instead."""
    try:
        again = unpacked(kind, packed(entry))
    except ValidationError as exc:  # without the values, which may be secret
        first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))!r}: {first['msg']}"
    except Exception as exc:
        return str(exc).replace("\n", " ")
    if type(again) is not type(entry):
        return f"a {type(entry).__name__} comes back as a {kind.__name__}"
    for name in kind.model_fields:
        one, other = getattr(entry, name), getattr(again, name)
        if one != other:
            return f"{name!r} was of type {type(one).__name__}, and comes back as another {type(other).__name__}"
    return "what is no field does not come back"


def same(one: object, other: object) -> bool:
    """Whether nothing is to be written. JSON's `true` is not its `1`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one is other or (isinstance(one, bool) is isinstance(other, bool) and one == other)
