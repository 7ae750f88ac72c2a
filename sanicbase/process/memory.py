"""The memory of a process, and what it may use, as the system reports it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["MemoryUsage", "memory_usage", "resident_memory"]

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
# The files of a cgroup, by its version: the limit, the usage, and what of it the kernel drops first.
VERSIONS = (
    ("", "", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


class MemoryUsage(NamedTuple):
    """Bytes that are used, of those that may be."""

    used: int
    limit: int


def resident_memory(pid: int) -> int | None:
    """The bytes of a process that are in memory, with those that it shares; None when it has ended, or the system has
    no /proc."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return None


def memory_usage(root: Path = Path("/")) -> MemoryUsage | None:
    """The memory that this process shares with others, and its limit: of the fullest control group around it that has a
    limit, such as that of a container, else of the machine. None when the system has no /proc.

    `root` is the folder of /proc and /sys.
    """
    try:
        machine = _of_machine(root)
        groups = [usage for usage in _of_groups(root) if usage.limit < machine.limit]
    except (OSError, ValueError, KeyError):
        return None
    return max(groups, key=lambda usage: usage.used / max(usage.limit, 1), default=machine)


def _of_machine(root: Path) -> MemoryUsage:
    fields = dict(line.split(":", 1) for line in (root / "proc/meminfo").read_text().splitlines())
    total, available = (int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    return MemoryUsage(total - available, total)


def _of_groups(root: Path) -> Iterator[MemoryUsage]:
    """The usage of each control group around this process, without those that have no limit."""
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        for controller, folder, limit, usage, inactive in VERSIONS:
            if controller not in controllers.split(","):
                continue
            inner = Path(place.lstrip("/"))
            for group in (inner, *inner.parents):
                with suppress(OSError, ValueError, KeyError):  # none there, or "max"
                    at = root / "sys/fs/cgroup" / folder / group
                    counts = dict(line.split() for line in (at / "memory.stat").read_text().splitlines())
                    used = int((at / usage).read_text()) - int(counts[inactive])
                    yield MemoryUsage(used, int((at / limit).read_text()))
