"""Unique indexes: they map a unique value to the key, and read the entry itself in the same request."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from sanicbase.cache.codec import Codec
from sanicbase.cache.entry import HEADER_SIZE, entry_start
from sanicbase.cache.epoch import RedisUnavailable
from sanicbase.cache.pending_reads import KeyValues, ManyReads, PendingReads
from sanicbase.cache.reader import NOT_FOUND, Reader
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

    def _schedule(self) -> None:
        self._loop.call_soon(self._send_pending)

    def _send_pending(self) -> None:
        for reads, _ in self.take_pending():
            if not isinstance(reads, ManyReads):  # which `read_many` alone makes
                self._start(self._answer(reads), reads)

    async def _answer(self, reads: PendingReads[IndexEntry[T]]) -> None:
        epoch = self._epoch_client.valid_epoch
        try:
            missing = reads if epoch is None else await self._follow(reads, epoch)
        except RedisUnavailable:
            epoch, missing = None, reads
        if epoch is None:
            await self._bypass(missing)
        elif missing:
            await self._answer_missing(missing, epoch)

    async def _follow(self, reads: PendingReads[IndexEntry[T]], epoch: bytes) -> PendingReads[IndexEntry[T]]:
        """Answer the reads that Redis has, and return the others. Raises RedisUnavailable in another epoch."""
        names = [*self._shared, *(self.entry_prefix + key for key in reads)]
        script = self._follow_script
        current, generation, *raws = await self._epoch_client.evaluate(script, names, [self.entry_prefix, HEADER_SIZE])
        if current != epoch:
            self._epoch_client.distrust()
            raise RedisUnavailable
        self._learn_sizes(raws)
        if generation is None:
            return reads
        start, now = entry_start(epoch, generation), time.time()
        missing: PendingReads[IndexEntry[T]] = {}
        for (key, read), raw, entry_raw in zip(reads.items(), raws[::2], raws[1::2], strict=True):
            if raw is None or (pointer := self._value_of(key, read, raw, start, now)) is NOT_FOUND:
                missing[key] = read
            else:
                entry = None if pointer is None else self._entries.decode(entry_raw, start)
                read.answer(pointer if entry is None else IndexEntry(pointer.key, entry), self._copy)
        self._stats.hits += len(reads) - len(missing)
        return missing


def index_codec(entries: Reader[Any], codec: Codec[Any], key_types: Any) -> Codec[IndexEntry[Any]]:
    """The codec of index entries: the name of the entry, for the script, a space, and the key as JSON."""

    def pack(index_entry: IndexEntry[Any]) -> bytes:
        return entries.key(index_entry.key).encode() + b" " + orjson.dumps(index_entry.key, default=str)

    def unpack(raw: bytes) -> IndexEntry[Any]:
        values = key_types(orjson.loads(raw.partition(b" ")[2]))
        if values is None:
            raise ValueError("an index entry without a key")
        return IndexEntry(values)

    def copy(index_entry: IndexEntry[Any]) -> IndexEntry[Any]:
        assert codec.copy is not None  # noqa: S101  (else it is not called)
        entry = None if index_entry.entry is None else codec.copy(index_entry.entry)
        return IndexEntry(index_entry.key, entry)

    return Codec(pack, unpack, codec.ttl, codec.ttl_missing, None if codec.copy is None else copy)
