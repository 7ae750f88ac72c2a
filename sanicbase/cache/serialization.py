"""Entries as JSON and back.

The JSON has the fields by their names, not their aliases, and no computed fields. Serializers, validators and types
unknown to JSON may still change a value. Each loaded entry is therefore compared with the entry that its JSON produces,
and stored only when both are equal.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

__all__ = ["describe_loss", "dump_json", "dump_lossless", "is_same_json", "load_json"]

M = TypeVar("M", bound=BaseModel)


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
        value, other = getattr(entry, name), getattr(again, name)
        if value != other:
            return f"{name!r} of type {type(value).__name__} becomes another {type(other).__name__}"
    return "an attribute that is not a field is lost"


def is_same_json(one: object, other: object) -> bool:
    """Whether two values are the same JSON, in which `true` is not `1`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same_json, one, other))
    return one is other or (isinstance(one, bool) is isinstance(other, bool) and one == other)
