"""A child process ends when its parent does, whatever ended the parent."""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.managers import SyncManager

__all__ = ["die_with", "die_with_parent", "managers_die_with_parent"]

PR_SET_PDEATHSIG = 1
POLL = 0.5  # seconds, where the kernel has no parent-death signal


def die_with_parent() -> None:
    """Have this process killed when the one that started it through multiprocessing is gone.

    The kernel does it on Linux (prctl(2), PR_SET_PDEATHSIG), elsewhere a thread that watches the parent. Call it while
    the child imports its launch file, and again when it runs: only then does multiprocessing know the parent's pid,
    by which a parent is noticed that ended before the first call.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os.kill(os.getpid(), signal.SIGKILL)
    elif sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    elif parent is None:
        threading.Thread(target=_watch, args=(os.getppid(),), name="parent", daemon=True).start()


def die_with(parent: int) -> None:
    """Have this process killed when its parent, which was started with that pid, is gone; for other children than those
    of multiprocessing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def managers_die_with_parent() -> None:
    """Have the processes of `multiprocessing.Manager()` killed when this one is gone.

    The `sanic` command keeps its state in one, which ignores its parent's death and imports no launch file. A manager
    unpickles its registered entries before it serves, so an entry whose unpickling calls `die_with_parent` leaves no
    gap: a parent that ends earlier breaks the pipe from which the manager's process starts.
    """
    SyncManager.register("sanicbase_parent", callable=_ParentDeathEntry(), create_method=False)
    atexit.unregister(_end_managers)
    atexit.register(_end_managers)


def _end_managers() -> None:
    """Kill managers whose start was interrupted: nothing else ends them, and multiprocessing waits for them at exit."""
    for child in multiprocessing.active_children():
        if child.name.startswith(SyncManager.__name__):
            child.kill()


class _ParentDeathEntry:
    def __call__(self) -> None:
        raise TypeError("This entry only exists to be unpickled.")

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return die_with_parent, ()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL)
    os.kill(os.getpid(), signal.SIGKILL)
