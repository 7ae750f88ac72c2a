"""How the entries of a class are named and stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Codec", "Keyspace", "NotSerializable"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Keyspace:
    """The keys of one class in Redis."""

    prefix: str
    shape: str

    @property
    def generation(self) -> str:
        return self.prefix + "generation"

    @property
    def stats(self) -> str:
        return self.prefix + "stats"

    def entry(self, key: str) -> str:
        return f"{self.prefix}v:{self.shape}:{key}"


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """How one kind of value is stored: as bytes and back, and for how long; `ttl_missing` is for missing rows.

    `pack` raises NotSerializable for a value that serialization would change. `copy` copies the mutable parts of a
    value; None when there are none.
    """

    pack: Callable[[T], bytes]
    unpack: Callable[[bytes], T]
    ttl: float
    ttl_missing: float
    copy: Callable[[T], T] | None = None


class NotSerializable(Exception):
    """Serialization would change the value; the message has the cause and the remedy."""
