"""A process and its descendants, distinguished from later processes with the same pids."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["ProcessId", "alive", "identify", "kill_all", "process_tree"]


class ProcessId(NamedTuple):
    """A process: its pid and its start time, because pids are reused."""

    pid: int
    started: str


class _Row(NamedTuple):
    parent: int
    group: int
    state: str
    started: str


def identify(pid: int) -> ProcessId:
    """Return the process with this pid, even a zombie. Raises ProcessLookupError when there is none."""
    row = _table().get(pid)
    if row is None:
        raise ProcessLookupError(f"There is no process {pid}.")
    return ProcessId(pid, row.started)


def process_tree(root: ProcessId) -> set[ProcessId]:
    """Return the process `root`, its process group and all of their descendants that are alive.

    Orphans are found through the group, so `root` should be the leader of a group. A descendant that left the group is
    found while its parent lives. Zombies are not included.
    """
    table = _table()
    if (row := table.get(root.pid)) and row.started != root.started:
        return set()  # another process has this pid now; a pid is not reused while its group exists
    pids: set[int] = set()
    children = {pid for pid, row in table.items() if root.pid in (pid, row.group)}
    while children:
        pids |= children
        children = {pid for pid, row in table.items() if row.parent in children} - pids
    return {ProcessId(pid, table[pid].started) for pid in pids if _runs(table[pid])}


def alive(processes: Iterable[ProcessId]) -> set[ProcessId]:
    """Return those of the processes that are still running, not later processes with the same pid."""
    table = _table()
    return {item for item in processes if (row := table.get(item.pid)) and row.started == item.started and _runs(row)}


def kill_all(processes: Iterable[ProcessId]) -> None:
    """Send SIGKILL to those of the processes that are still running."""
    for process in alive(processes):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def _runs(row: _Row) -> bool:
    return row.state[0] not in "ZX"


def _table() -> dict[int, _Row]:
    return _table_of_proc() if sys.platform == "linux" else _table_of_ps()


def _table_of_proc() -> dict[int, _Row]:
    table: dict[int, _Row] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        # A process may end between the listing and the reading.
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name in parentheses may itself contain spaces and parentheses.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            table[int(entry.name)] = _Row(int(fields[1]), int(fields[2]), fields[0], fields[19])
    return table


def _table_of_ps() -> dict[int, _Row]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,pgid=,state=,lstart="], capture_output=True, text=True, check=True
    )
    rows = (line.split(maxsplit=4) for line in listing.stdout.splitlines())
    return {int(pid): _Row(int(parent), int(group), state, start) for pid, parent, group, state, start in rows}
