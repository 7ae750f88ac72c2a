"""A child process ends when its parent does, however that ended."""

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

__all__ = ["die_with_parent", "managers_die_with_parent"]

PR_SET_PDEATHSIG = 1
POLL = 0.5  # seconds, where the kernel does not tell


def die_with_parent() -> None:
    """Have this process killed when the one that started it through multiprocessing is gone.

    By the kernel on Linux (prctl(2), PR_SET_PDEATHSIG), elsewhere by a thread that looks who the parent is. To be
    called while the child imports its launch file, and again when it runs: only then does multiprocessing tell the
    parent's number, by which a parent is noticed that went before the first call.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os.kill(os.getpid(), signal.SIGKILL)
    elif sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    elif parent is None:
        threading.Thread(target=_watch, args=(os.getppid(),), name="parent", daemon=True).start()


def managers_die_with_parent() -> None:
    """Have the processes of `multiprocessing.Manager()` killed when this one is gone.

    The `sanic` command keeps its state in one, which ignores its parent's death and imports no launch file. What a
    manager registered is unpickled before it serves: one entry whose unpickling calls `die_with_parent` leaves no
    moment in between, for a parent that goes earlier breaks the pipe that the manager's process starts from.
    """
    SyncManager.register("sanicbase_parent", callable=_Leash(), create_method=False)
    atexit.unregister(_end_managers)
    atexit.register(_end_managers)


def _end_managers() -> None:
    """End managers whose start was interrupted: nobody else does, and multiprocessing waits for them at exit."""
    for child in multiprocessing.active_children():
        if child.name.startswith(SyncManager.__name__):
            child.kill()


class _Leash:
    def __call__(self) -> None:
        raise TypeError("This entry is for its unpickling only.")

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return die_with_parent, ()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL)
    os.kill(os.getpid(), signal.SIGKILL)
