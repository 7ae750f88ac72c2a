"""Values as bytes: JSON, compressed where that pays. Nothing that is unpacked is ever run."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any, TypeVar, cast, overload

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from sanicbase.errors import CorruptValue, SanicBaseError

__all__ = ["pack", "unpack"]

# The first byte says which. JSON is written as it is: `redis-cli` shows it, and JSON of other programs is read, too.
COMPRESSED = b"\x00"  # no JSON begins so
LEVEL = 1  # three times as fast as zlib's usual one, for about a tenth more bytes
LARGEST = 16 * 1024 * 1024

T = TypeVar("T")


def pack(value: object, *, compress_above: int = 1024) -> bytes:
    """The value as JSON; compressed by zlib when it has more than `compress_above` bytes and becomes smaller by that.

    Takes what orjson takes (dates, UUIDs, dataclasses), and pydantic models. Raises SanicBaseError for anything else.
    """
    try:
        raw = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as exc:
        raise SanicBaseError(f"A {type(value).__name__} cannot be packed ({exc}): make it of JSON's types.") from exc
    if len(raw) <= compress_above:
        return raw
    compressed = COMPRESSED + zlib.compress(raw, LEVEL)
    return compressed if len(compressed) < len(raw) else raw


@overload
def unpack(raw: bytes | str, *, largest: int = LARGEST) -> object: ...
@overload
def unpack(raw: bytes | str, kind: type[T], *, largest: int = LARGEST) -> T: ...
def unpack(raw: bytes | str, kind: type[T] | None = None, *, largest: int = LARGEST) -> T | object:
    """What was packed: as JSON's types, or as a `kind` that pydantic checks (`Article`, `list[int]`, a dataclass).

    Raises CorruptValue when it is something else, or has more than `largest` bytes when it is unpacked.
    """
    raw = raw.encode() if isinstance(raw, str) else raw  # redis-py types its answers as either
    try:
        text = _decompress(raw[1:], largest) if raw.startswith(COMPRESSED) else raw
        if len(text) > largest:
            raise CorruptValue(f"The value has more than {largest} bytes: it is not unpacked.")
        if kind is not None:
            checked: T = _adapter(cast("Any", kind)).validate_json(text)
            return checked
        value: object = orjson.loads(text)
    except (zlib.error, orjson.JSONDecodeError) as exc:
        raise CorruptValue(f"{len(raw)} bytes are not what `pack` makes ({exc}): delete the key.") from exc
    except ValidationError as exc:
        wrong = f"{exc.error_count()} mistakes, the first: {exc.errors(include_input=False)[0]['msg']}"
        raise CorruptValue(f"The value is no {getattr(kind, '__name__', kind)} ({wrong}): delete the key.") from exc
    return value


def _decompress(compressed: bytes, largest: int) -> bytes:
    """Never makes more than a byte above `largest`, whatever the input promises."""
    stream = zlib.decompressobj()
    text = stream.decompress(compressed, largest + 1)
    if len(text) <= largest and not stream.eof:
        raise zlib.error("the end is missing")
    return text


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not one of JSON's")


@lru_cache(maxsize=256)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
