"""What the entries of a class were good for: counted in the process, gathered in Redis."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

__all__ = ["Stats"]


@dataclass
class Stats:
    """How often, for each kind of answer. A get that finds nothing counts as what it did."""

    hits: int = 0
    """Answered from Redis."""
    misses: int = 0
    """Not in Redis, or not any more."""
    fills: int = 0
    """Loaded and stored."""
    waits: int = 0
    """Waited for another who was loading it."""
    refused: int = 0
    """Loaded and not stored, since it was written meanwhile."""
    bypasses: int = 0
    """Loaded without a look at Redis, or while a write was under way."""
    oversized: int = 0
    """Loaded and not stored, since it is too large."""
    lossy: int = 0
    """Loaded and not stored, since JSON would give back something else."""
    corrupt: int = 0
    """In Redis was something that is not ours."""

    def taken(self) -> dict[str, int]:
        """What was counted since the last time, without zeros; counting begins anew."""
        counted = {name: count for name, count in asdict(self).items() if count}
        for field in fields(self):
            setattr(self, field.name, 0)
        return counted
