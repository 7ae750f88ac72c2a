"""The bytes of an entry."""

from __future__ import annotations

import struct

import pytest

from sanicbase.cache.entry import Entry, entry_start, lasting_payloads, pack_entry

EPOCH, GENERATION = b"x" * 9, b"g" * 8
START = entry_start(EPOCH, GENERATION)
NOW = 1000.0


def packed(
    payload: bytes | None = b"{}", *, epoch: bytes = EPOCH, generation: bytes = GENERATION, expires: float = NOW + 60
) -> bytes:
    return pack_entry(Entry(epoch, generation, expires, 0.5, payload))


def test_the_payloads_of_lasting_entries_are_in_their_order() -> None:
    raws = [packed(b"1"), packed(None), packed(b"2"), packed(b"1")]
    assert lasting_payloads(raws, START, NOW, 10) == [b"1", b"", b"2", b"1"]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    "other",
    [
        packed(epoch=b"y" * 9),
        packed(generation=b"h" * 8),
        packed(b"3", expires=NOW + 5),  # ten times the cost of its load
        packed(b"4", expires=NOW - 1),
        packed(b"5")[:-1] + b"6",
        packed(b"7") + b"8",
        b"\xc2" + packed()[1:],
        None,
    ],
)
def test_one_other_entry_is_enough_to_look_at_each(other: bytes | None, place: int) -> None:
    raws: list[bytes | None] = [packed(), packed()]
    raws.insert(place, other)
    assert lasting_payloads(raws, START, NOW, 10) is None


def test_bytes_that_are_too_short_are_an_error() -> None:
    with pytest.raises(struct.error):
        lasting_payloads([packed(), packed()[:20]], START, NOW, 10)
