"""The entry of a cache model in Redis: a value with its epoch and generation."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from sanicbase.errors import CorruptValue

__all__ = [
    "EPOCH",
    "GENERATION",
    "HEADER_SIZE",
    "NOT_STORED",
    "Entry",
    "entry_start",
    "lasting_payloads",
    "pack_entry",
    "unpack_entry",
    "unpack_times",
]

EPOCH, GENERATION = 9, 8  # bytes; the scripts find them by their offsets
FORMAT = b"\xc1\x01"  # no JSON and no text starts with it
TIMES = struct.Struct(">dfI")  # the expiry, the cost and the checksum
unpack_from = TIMES.unpack_from
START_SIZE = len(FORMAT) + EPOCH + GENERATION
HEADER_SIZE = START_SIZE + TIMES.size
NOT_STORED = b"\xc1"  # the payload of an entry whose value is not stored


class Entry(NamedTuple):
    """A stored value. `payload` is JSON; None says that the row does not exist."""

    epoch: bytes
    generation: bytes
    expires: float  # seconds, by the clock of the process that stored it
    cost: float  # seconds that the load took
    payload: bytes | None


def pack_entry(entry: Entry) -> bytes:
    """The bytes of an entry."""
    payload = b"" if entry.payload is None else entry.payload
    start = FORMAT + entry.epoch.ljust(EPOCH, b"\0") + entry.generation.ljust(GENERATION, b"\0")
    return start + TIMES.pack(entry.expires, entry.cost, crc32(payload)) + payload


def entry_start(epoch: bytes, generation: bytes) -> bytes:
    """The first bytes of each entry that is valid in this epoch and generation."""
    return FORMAT + epoch + generation[:GENERATION]


def unpack_times(raw: bytes) -> tuple[float, float, bytes]:
    """The expiry, the cost and the payload of an entry, for readers that know its start.

    Raises CorruptValue when the payload is damaged.
    """
    expires, cost, checksum = unpack_from(raw, START_SIZE)
    payload = raw[HEADER_SIZE:]
    if crc32(payload) != checksum:
        raise CorruptValue("The entry is damaged.")
    return expires, cost, payload


def lasting_payloads(raws: Sequence[bytes | None], start: bytes, now: float, earliness: float) -> list[bytes] | None:
    """The payloads of the entries; None unless all of them start like this, are intact, and do not expire within
    `earliness` times the cost of their load. Raises struct.error for bytes that are too short."""
    payloads = []
    for raw in raws:
        if raw is None:
            return None
        expires, cost, checksum = unpack_from(raw, START_SIZE)
        payload = raw[HEADER_SIZE:]
        if not raw.startswith(start) or crc32(payload) != checksum or now + cost * earliness >= expires:
            return None
        payloads.append(payload)
    return payloads


def unpack_entry(raw: bytes) -> Entry:
    """The entry in these bytes. Raises CorruptValue for other bytes."""
    if len(raw) < HEADER_SIZE or not raw.startswith(FORMAT):
        raise CorruptValue(f"{len(raw)} bytes are not an entry of a cache model.")
    expires, cost, payload = unpack_times(raw)
    epoch_end = len(FORMAT) + EPOCH
    return Entry(raw[len(FORMAT) : epoch_end], raw[epoch_end:START_SIZE], expires, cost, payload or None)
