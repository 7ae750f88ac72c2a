"""A part of a file: the header Range (RFC 9110, 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ByteRange", "requested_range"]

SINGLE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
MAX_DIGITS = 18  # digits of a position in a file
BEYOND: int = 10**MAX_DIGITS


@dataclass(frozen=True)
class ByteRange:
    """`count` bytes from `start` on; none if the range begins after the end of the file."""

    start: int
    count: int

    def content_range(self, size: int) -> str:
        """The header of that name, for a file of that size."""
        return f"bytes {self.start}-{self.start + self.count - 1}/{size}" if self.count else f"bytes */{size}"


def requested_range(header: str, size: int) -> ByteRange | None:
    """The part of a file of that size that the header asks for; None for the whole file.

    A request for several ranges, or with a malformed header, gets the whole file, as RFC 9110 allows: a list of
    thousands of ranges costs no more than one.
    """
    if (matched := SINGLE.fullmatch(header)) is None or matched[1] + matched[2] == "":
        return None
    if not matched[1]:
        last_bytes = min(_position(matched[2]), size)
        return ByteRange(size - last_bytes, last_bytes) if size else None
    start, end = _position(matched[1]), _position(matched[2]) if matched[2] else BEYOND
    if end < start:
        return None
    return ByteRange(start, min(end + 1, size) - start) if start < size else ByteRange(0, 0)


def _position(digits: str) -> int:
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= MAX_DIGITS else BEYOND
