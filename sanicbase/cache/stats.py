"""Counters of a cache model, collected in each process and summed in Redis."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

__all__ = ["Stats"]


@dataclass
class Stats:
    """The number of reads by their outcome; a read of a missing row counts like one of an existing row."""

    hits: int = 0
    """Answered from Redis."""
    local_hits: int = 0
    """Answered from the memory of the process."""
    misses: int = 0
    """Not in Redis."""
    fills: int = 0
    """Loaded and stored."""
    waits: int = 0
    """Waited for another reader's load."""
    refused: int = 0
    """Loaded and not stored, because the row was written in the meantime."""
    bypasses: int = 0
    """Loaded without Redis, or during a write."""
    oversized: int = 0
    """Loaded and not stored, because it is too large."""
    lossy: int = 0
    """Loaded and not stored, because JSON would change it."""
    corrupt: int = 0
    """The value in Redis was not an entry."""
    audited: int = 0
    """Hits that were compared with the database."""
    mismatched: int = 0
    """Audited hits that differed, although the entry was valid before and after the row was read."""
    unaudited: int = 0
    """Selected, but not compared: the entry changed in the meantime, too many audits were running, or the database did
    not answer."""

    def take(self) -> dict[str, int]:
        """The counters since the last call, without zeros; they are reset."""
        counted = {name: count for name, count in asdict(self).items() if count}
        for field in fields(self):
            setattr(self, field.name, 0)
        return counted
