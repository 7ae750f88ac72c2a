"""A lock between processes, on an open file or folder; the kernel drops it with its process.

Windows has none of this kind: there, one process only may write a service's logs.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["CAN_LOCK", "folder_locked", "locked"]

CAN_LOCK = sys.platform != "win32"
POLL = 0.001  # seconds; a lock is held for the length of one write


@contextmanager
def locked(fd: int, timeout: float) -> Iterator[None]:
    """Hold the file's lock, alone. Raises TimeoutError when another process keeps it for `timeout` seconds."""
    if sys.platform == "win32":
        yield
        return
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process keeps it locked") from None
            time.sleep(POLL)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


@contextmanager
def folder_locked(folder: Path, timeout: float) -> Iterator[None]:
    """Hold the folder's lock, alone. Raises OSError where there is no such folder, TimeoutError as `locked` does."""
    if not CAN_LOCK:
        yield
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        with locked(fd, timeout):
            yield
    finally:
        os.close(fd)
