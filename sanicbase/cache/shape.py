"""The shape of a class: fields that cannot be stored, and a text that changes when older entries become unreadable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

__all__ = ["shape_of", "unserializable_field"]

PLAIN = (str, bytes, int, float, bool, complex, type(None))
IGNORED_KEYS = {
    "metadata",
    "ref",
    "schema_ref",
    "default",
    "default_factory",
}  # names with addresses, and values that the JSON contains


def unserializable_field(cls: type[BaseModel]) -> str | None:
    """Why the first field that JSON never preserves cannot be stored; None when there is none."""
    for name, field in cls.model_fields.items():
        if field.exclude:
            return (
                f"{name!r} has exclude=True, so entries in Redis would lack it. Remove it, and exclude the "
                f"field from the response: model_dump(exclude={{{name!r}}})"
            )
        if any(issubclass(kind, Secret | SecretStr | SecretBytes) for kind in _types(field.annotation)):
            return f"{name!r} is a secret, which is not written in JSON. Leave it out, and read it from the database"
    return None


def shape_of(cls: type[BaseModel]) -> str:
    """A text that changes with the fields, their types, the validators, the serializers and the config.

    It is the same in all processes that run the same code.
    """
    cls.model_rebuild()
    return _text(cls.__pydantic_core_schema__)


def _types(annotation: Any) -> Iterator[type]:
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type):
        yield kind
    for part in get_args(annotation):
        yield from _types(part)


def _text(part: Any) -> str:
    if isinstance(part, Enum):
        return f"{_name(type(part))}.{part.name}={part.value!r}"
    if isinstance(part, PLAIN):
        return repr(part)
    if isinstance(part, Mapping):
        return _joined(f"{key}:{_text(value)}" for key, value in part.items() if key not in IGNORED_KEYS)
    if isinstance(part, list | tuple):
        return _joined(map(_text, part))
    if isinstance(part, set | frozenset):
        return _joined(sorted(map(_text, part)))
    if isinstance(part, type):
        return _name(part)
    return _text_of_function(part)


def _text_of_function(part: Any) -> str:
    if isinstance(part, MethodType):
        return _text(part.__func__)
    if isinstance(part, partial):
        return f"{_text(part.func)}({_text(part.args)}{_text(part.keywords)})"
    if isinstance(part, FunctionType):
        return f"{_name(part)}={_text(part.__code__)}"
    if isinstance(part, CodeType):
        consts = (const for const in part.co_consts if isinstance(const, (*PLAIN, tuple, frozenset, CodeType)))
        return f"{part.co_code.hex()} {part.co_names} {_text(list(consts))}"
    return _name(part if hasattr(part, "__qualname__") else type(part))


def _joined(parts: Iterable[str]) -> str:
    return f"({','.join(parts)})"


def _name(part: Any) -> str:
    return f"{getattr(part, '__module__', '')}.{part.__qualname__}"
