"""Entries that name another one: from a unique value to the key, and with the same request to the entry itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from sanicbase.cache.entry import HEADER_SIZE
from sanicbase.cache.reader import Kept, Reader
from sanicbase.cache.scripts import FOLLOW
from sanicbase.cache.wants import Values, Wants

__all__ = ["Pointed", "Pointers", "kept_pointers"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pointed(Generic[T]):
    """The key that a unique value leads to, and the entry when it came along. It may have changed since."""

    key: Values
    entry: T | None = None


class Pointers(Reader[Pointed[T]]):
    """Reads what unique values lead to; the entries themselves are those of `entries`."""

    def __init__(self, entries: Reader[T], name: str, *args: Any) -> None:
        super().__init__(name, *args)
        self._entries = entries
        self._follow = self._trust.reading.register_script(FOLLOW)

    async def _from_redis(self, wants: Wants[Pointed[T]], epoch: bytes) -> Wants[Pointed[T]]:
        names = [*self._shared, *(self._place.entry(key) for key in wants)]
        request = self._follow(keys=names, args=[self._place.entry(""), HEADER_SIZE])
        current, generation, *found = await self._trust.asked(request)
        self._check(current, epoch)
        self._sized(found)
        missing: Wants[Pointed[T]] = {}
        for (key, want), raw, named in zip(wants.items(), found[::2], found[1::2], strict=True):
            beside = self._entries.decoded(named, epoch, generation)
            if raw is None or not self._take(key, want, raw, epoch, generation, beside):
                missing[key] = want
        return missing

    def _with(self, found: Pointed[T] | None, beside: Any) -> Pointed[T] | None:
        return found if found is None or beside is None else Pointed(found.key, beside)


def kept_pointers(entries: Reader[Any], kept: Kept[Any], key_types: Any) -> Kept[Pointed[Any]]:
    """How pointers are kept: the name of the entry, which the script follows, a space, and the key as JSON."""

    def pack(pointed: Pointed[Any]) -> bytes:
        return entries.key(pointed.key).encode() + b" " + orjson.dumps(pointed.key, default=str)

    def unpack(raw: bytes) -> Pointed[Any]:
        values = key_types(orjson.loads(raw.partition(b" ")[2]))
        if values is None:
            raise ValueError("a pointer to no key")
        return Pointed(values)

    return Kept(pack, unpack, kept.ttl, kept.ttl_missing)
