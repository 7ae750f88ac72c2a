"""The entry of a cache model in Redis: a value with its epoch and generation."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from sanicbase.errors import CorruptValue

__all__ = ["EPOCH", "GENERATION", "HEADER_SIZE", "NOT_STORED", "Entry", "pack_entry", "unpack_entry"]

EPOCH, GENERATION = 9, 8  # bytes; the scripts find them by their offsets
HEADER = struct.Struct(f">2s{EPOCH}s{GENERATION}sdfI")
HEADER_SIZE = HEADER.size
FORMAT = b"\xc1\x01"  # no JSON and no text starts with it
NOT_STORED = b"\xc1"  # the payload of an entry whose value is not stored


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored value. `payload` is JSON; None says that the row does not exist."""

    epoch: bytes
    generation: bytes
    expires: float  # seconds, by the clock of the process that stored it
    cost: float  # seconds that the load took
    payload: bytes | None


def pack_entry(entry: Entry) -> bytes:
    """The bytes of an entry."""
    payload = b"" if entry.payload is None else entry.payload
    head = (FORMAT, entry.epoch, entry.generation, entry.expires, entry.cost, zlib.crc32(payload))
    return HEADER.pack(*head) + payload


def unpack_entry(raw: bytes) -> Entry:
    """The entry in these bytes. Raises CorruptValue for other bytes."""
    try:
        form, epoch, generation, expires, cost, checksum = HEADER.unpack_from(raw)
    except struct.error as exc:
        raise CorruptValue(f"{len(raw)} bytes are not an entry of a cache model.") from exc
    payload = raw[HEADER_SIZE:]
    if form != FORMAT or zlib.crc32(payload) != checksum:
        raise CorruptValue("These bytes are not an entry of a cache model, or they are damaged.")
    return Entry(epoch, generation, expires, cost, payload or None)
