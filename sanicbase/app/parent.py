"""A child process ends when its parent does, however that ended."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time

__all__ = ["die_with_parent"]

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


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL)
    os.kill(os.getpid(), signal.SIGKILL)
