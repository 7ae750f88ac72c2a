"""A lock between processes, on an open file or folder. The kernel releases it when its process ends.

On Windows nothing is locked, and one process only may write a service's logs.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor

__all__ = ["CAN_LOCK", "folder_locked", "locked"]

CAN_LOCK = sys.platform != "win32"  # a lock on Windows would keep others from reading the log
POLL = 0.001  # seconds; a lock is held for the length of one write


@contextmanager
def locked(fd: int, timeout: float) -> Iterator[None]:
    """Hold the file's exclusive lock. Raises TimeoutError when another process keeps it for `timeout` seconds."""
    if not CAN_LOCK:
        yield
        return
    deadline = time.monotonic() + timeout
    while not lock_descriptor(fd, blocking=False):
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "another process keeps it locked")
        time.sleep(POLL)
    try:
        yield
    finally:
        unlock_descriptor(fd)


@contextmanager
def folder_locked(folder: Path, timeout: float) -> Iterator[None]:
    """Hold the folder's exclusive lock. Raises OSError when there is no such folder, TimeoutError as `locked` does."""
    if not CAN_LOCK:
        yield
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        with locked(fd, timeout):
            yield
    finally:
        os.close(fd)
