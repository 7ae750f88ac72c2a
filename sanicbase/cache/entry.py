"""What a cache model keeps under a key: the value, and of which epoch and generation it is."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from sanicbase.errors import CorruptValue

__all__ = ["EPOCH", "GENERATION", "HEADER_SIZE", "NOT_STORED", "Entry", "pack_entry", "unpack_entry"]

EPOCH, GENERATION = 9, 8  # bytes of each; the scripts find them by their place
HEADER = struct.Struct(f">2s{EPOCH}s{GENERATION}sdfI")
HEADER_SIZE = HEADER.size
FORMAT = b"\xc1\x01"  # no JSON and no text begins so
NOT_STORED = b"\xc1"  # the payload of an entry whose value is not stored


@dataclass(frozen=True, slots=True)
class Entry:
    """A value as it is kept. `payload` is JSON; None says that there is no such thing."""

    epoch: bytes
    generation: bytes
    expires: float  # seconds of the clock of whoever has stored it
    cost: float  # seconds that it took to load
    payload: bytes | None


def pack_entry(entry: Entry) -> bytes:
    """The bytes of an entry."""
    payload = b"" if entry.payload is None else entry.payload
    head = (FORMAT, entry.epoch, entry.generation, entry.expires, entry.cost, zlib.crc32(payload))
    return HEADER.pack(*head) + payload


def unpack_entry(raw: bytes) -> Entry:
    """The entry of these bytes. Raises CorruptValue for what `pack_entry` has not made."""
    try:
        form, epoch, generation, expires, cost, checksum = HEADER.unpack_from(raw)
    except struct.error as exc:
        raise CorruptValue(f"{len(raw)} bytes are no entry of a cache model.") from exc
    payload = raw[HEADER_SIZE:]
    if form != FORMAT or zlib.crc32(payload) != checksum:
        raise CorruptValue("These bytes are not what a cache model stores, or they are damaged.")
    return Entry(epoch, generation, expires, cost, payload or None)
