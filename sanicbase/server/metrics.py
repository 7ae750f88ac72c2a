"""The metrics about the processes of a service, which its main process sets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sanicbase.metrics import Counter, Gauge
from sanicbase.process.memory import memory_usage, resident_memory

__all__ = [
    "RECYCLED", "RELOADS", "RESTARTS", "WorkerState", "clear_worker_gauges", "set_main_process_gauges",
    "set_worker_gauges",
]  # fmt: skip

RECYCLED = Counter("sanicbase_worker_recycled_total", "Workers that reached a limit and were replaced.", ["limit"])
RESTARTS = Counter(
    "sanicbase_worker_restarts_total", "Workers that ended by themselves and were started again.", ["worker"]
)
RELOADS = Counter("sanicbase_reloads_total", "Reloads of all workers, by their result.", ["result"])
SERVING = Gauge("sanicbase_worker_serving", "Whether a worker serves requests.", ["worker"])
MEMORY = Gauge("sanicbase_worker_memory_bytes", "The resident memory of a worker, with shared pages.", ["worker"])
DESCRIPTORS = Gauge("sanicbase_worker_open_descriptors", "The open files and connections of a worker.", ["worker"])
MAX_DESCRIPTORS = Gauge(
    "sanicbase_worker_max_descriptors", "The limit of open files and connections of a worker.", ["worker"]
)
USED_MEMORY = Gauge("sanicbase_memory_used_bytes", "The memory in use where the service runs, without caches of files.")
MEMORY_LIMIT = Gauge("sanicbase_memory_limit_bytes", "The memory of the container, or else of the machine.")
MAIN = "main"


class WorkerState(NamedTuple):
    """A worker, by the number of its place."""

    number: int
    pid: int
    is_serving: bool


def set_worker_gauges(workers: Iterable[WorkerState]) -> None:
    """Set the gauges of these workers from /proc."""
    for worker in workers:
        SERVING.set(worker.is_serving, str(worker.number))
        RESTARTS.inc(str(worker.number), amount=0)  # Prometheus sees no increase in a series that begins with 1
        _set_process_gauges(str(worker.number), worker.pid)


def clear_worker_gauges(number: int) -> None:
    """Set the gauges of a worker that has ended, and is not replaced, to 0."""
    for gauge in (SERVING, MEMORY, DESCRIPTORS):
        gauge.set(0, str(number))


def set_main_process_gauges() -> None:
    """Set the gauges of this process, as the worker `main`, and of the memory that all processes share."""
    _set_process_gauges(MAIN, os.getpid())
    for result in ("succeeded", "failed"):
        RELOADS.inc(result, amount=0)
    if (usage := memory_usage()) is not None:
        USED_MEMORY.set(usage.used)
        MEMORY_LIMIT.set(usage.limit)


def _set_process_gauges(name: str, pid: int) -> None:
    if (memory := resident_memory(pid)) is not None:
        MEMORY.set(memory, name)
    with suppress(OSError, StopIteration, ValueError):  # it has ended, the system has no /proc, or there is no limit
        DESCRIPTORS.set(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()), name)
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        MAX_DESCRIPTORS.set(next(int(line.split()[3]) for line in limits if line.startswith("Max open files")), name)
