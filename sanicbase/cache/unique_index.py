"""Unique indexes: from a unique value to the key, and in the same request to the entry itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from sanicbase.cache.entry import HEADER_SIZE
from sanicbase.cache.pending_reads import KeyValues, PendingReads
from sanicbase.cache.reader import Codec, Reader
from sanicbase.cache.scripts import FOLLOW

__all__ = ["IndexEntry", "UniqueIndex", "index_codec"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IndexEntry(Generic[T]):
    """The key of a unique value, with the entry if it was read as well. Either may be outdated."""

    key: KeyValues
    entry: T | None = None


class UniqueIndex(Reader[IndexEntry[T]]):
    """Reads keys by unique values; `entries` reads the entries."""

    def __init__(self, entries: Reader[T], name: str, *args: Any) -> None:
        super().__init__(name, *args)
        self._entries = entries
        self._follow_script = self._epoch_client.reading.register_script(FOLLOW)

    async def _from_redis(self, reads: PendingReads[IndexEntry[T]], epoch: bytes) -> PendingReads[IndexEntry[T]]:
        names = [*self._shared, *(self._keyspace.entry(key) for key in reads)]
        request = self._follow_script(keys=names, args=[self._keyspace.entry(""), HEADER_SIZE])
        current, generation, *raws = await self._epoch_client.request(request)
        self._check_epoch(current, epoch)
        self._learn_sizes(raws)
        missing: PendingReads[IndexEntry[T]] = {}
        for (key, read), raw, entry_raw in zip(reads.items(), raws[::2], raws[1::2], strict=True):
            entry_value = self._entries.decode(entry_raw, epoch, generation)
            if raw is None or not self._answer_from(key, read, raw, epoch, generation, entry_value):
                missing[key] = read
        return missing

    def _combined(self, index_entry: IndexEntry[T] | None, entry_value: Any) -> IndexEntry[T] | None:
        return index_entry if index_entry is None or entry_value is None else IndexEntry(index_entry.key, entry_value)


def index_codec(entries: Reader[Any], codec: Codec[Any], key_types: Any) -> Codec[IndexEntry[Any]]:
    """The codec of index entries: the name of the entry, for the script, a space, and the key as JSON."""

    def pack(index_entry: IndexEntry[Any]) -> bytes:
        return entries.key(index_entry.key).encode() + b" " + orjson.dumps(index_entry.key, default=str)

    def unpack(raw: bytes) -> IndexEntry[Any]:
        values = key_types(orjson.loads(raw.partition(b" ")[2]))
        if values is None:
            raise ValueError("an index entry without a key")
        return IndexEntry(values)

    return Codec(pack, unpack, codec.ttl, codec.ttl_missing)
