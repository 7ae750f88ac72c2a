"""The CPU time of a process and its children, user and system together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path


def tree(pid: int) -> Iterator[int]:
    """The process and everything below it that is alive."""
    yield pid
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = listed.read_text().split()
        except OSError:  # the thread has ended
            continue
        for child in children:
            yield from tree(int(child))


def tree_cpu_seconds(pid: int) -> float:
    """What the living processes of the tree have used so far, all of their threads included."""
    return sum(_cpu_seconds(process) for process in tree(pid))


def _cpu_seconds(pid: int) -> float:
    # The clock that clock_getcpuclockid(3) names: /proc/PID/stat counts the same in ticks of ten milliseconds.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0
