"""The memory of a process, as the system reports it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["resident_memory"]

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident_memory(pid: int) -> int | None:
    """The bytes of a process that are in memory, with those that it shares; None when it has ended, or the system has
    no /proc."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return None
