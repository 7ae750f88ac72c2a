"""Counters of a cache model, collected in each process and summed in Redis."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

__all__ = ["Stats"]


@dataclass
class Stats:
    """The number of reads by their outcome; a read of a missing row counts like one of an existing row."""

    hits: int = 0
    """Answered from Redis."""
    misses: int = 0
    """Not in Redis."""
    fills: int = 0
    """Loaded and stored."""
    waits: int = 0
    """Waited for another reader's load."""
    refused: int = 0
    """Loaded and not stored, since the row was written meanwhile."""
    bypasses: int = 0
    """Loaded without Redis, or during a write."""
    oversized: int = 0
    """Loaded and not stored, since it is too large."""
    lossy: int = 0
    """Loaded and not stored, since JSON would change it."""
    corrupt: int = 0
    """Redis had other bytes than an entry."""

    def take(self) -> dict[str, int]:
        """The counters since the last call, without zeros; they are reset."""
        counted = {name: count for name, count in asdict(self).items() if count}
        for field in fields(self):
            setattr(self, field.name, 0)
        return counted
