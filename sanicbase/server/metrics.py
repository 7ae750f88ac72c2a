"""The metrics about the workers of a service, which its main process sets."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sanicbase.metrics import Counter, Gauge
from sanicbase.process.memory import resident_memory

__all__ = ["RELOADS", "RESTARTS", "WorkerState", "set_worker_gauges"]

RESTARTS = Counter(
    "sanicbase_worker_restarts_total", "Workers that ended by themselves and were started again.", ["worker"]
)
RELOADS = Counter("sanicbase_reloads_total", "Reloads of all workers, by their result.", ["result"])
SERVING = Gauge("sanicbase_worker_serving", "Whether a worker serves requests.", ["worker"])
MEMORY = Gauge("sanicbase_worker_memory_bytes", "The resident memory of a worker, with shared pages.", ["worker"])
DESCRIPTORS = Gauge("sanicbase_worker_open_descriptors", "The open files and connections of a worker.", ["worker"])


class WorkerState(NamedTuple):
    """A worker, by the number of its place."""

    number: int
    pid: int
    is_serving: bool


def set_worker_gauges(workers: Iterable[WorkerState]) -> None:
    """Set the gauges of these workers from /proc."""
    for worker in workers:
        name = str(worker.number)
        SERVING.set(worker.is_serving, name)
        if (memory := resident_memory(worker.pid)) is not None:
            MEMORY.set(memory, name)
        with suppress(OSError):  # it has ended, or the system has no /proc
            DESCRIPTORS.set(sum(1 for _ in Path(f"/proc/{worker.pid}/fd").iterdir()), name)
