"""A lock between processes, on an open file or folder. The kernel releases it when its process ends.

On Windows nothing is locked, and only one process may write the logs of a service.
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

CAN_LOCK = sys.platform != "win32"  # a lock on Windows would keep others from reading the log
POLL = 0.001  # seconds; a lock is held for the length of one write


@contextmanager
def locked(fd: int, timeout: float) -> Iterator[None]:
    """Hold the file's exclusive lock. Raises TimeoutError when another process keeps it for `timeout` seconds."""
    if not CAN_LOCK:
        yield
        return
    deadline = time.monotonic() + timeout
    while not _try_lock(fd):
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "another process keeps it locked")
        time.sleep(POLL)
    try:
        yield
    finally:
        _unlock(fd)


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


def _try_lock(fd: int) -> bool:
    # flock(2), as filelock has it, whose import takes as long as that of pydantic-settings.
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


def _unlock(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_UN)
