"""A file that any number of processes append to, and that any of them may put away for a new one.

A process writes while it holds the lock of the very file that stands at the path, and only who holds that lock may
rename the file. So nothing is written to a file once it was renamed, and it can be compressed at once.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import accumulate, takewhile
from pathlib import Path

from sanicbase.log.locking import CAN_LOCK, locked
from sanicbase.log.rotation import Rotation, older_name

__all__ = ["SharedFile"]

FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
MODE = 0o640  # logs name users and addresses
PATIENCE = 2.0  # seconds that another process may keep the lock
LONGEST = 1024 * 1024  # bytes; half a line is looked for in so much of a file's end


class SharedFile:
    """One log file. It belongs to one thread at a time; `rotated` is called after a file was put away."""

    def __init__(self, path: Path, rotation: Rotation, rotated: Callable[[], object] = lambda: None) -> None:
        self.path = path
        self._rotation = rotation
        self._rotated = rotated
        self._fd: int | None = None

    def open(self) -> int:
        """Open the file, and make it and its folder where they are missing. Raises OSError."""
        if self._fd is None:
            try:
                self._fd = os.open(self.path, FLAGS, MODE)
            except FileNotFoundError:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._fd = os.open(self.path, FLAGS, MODE)
        return self._fd

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):
                os.close(fd)

    def append(self, records: list[bytes]) -> None:
        """Write the records, each one or more whole lines, and take from the list what was written.

        Raises OSError when it cannot go on; the file ends with a whole record then, and the list has the rest.
        """
        while records:
            fd = self.open()
            if not self._is_current(fd):
                self.close()
                continue
            with locked(fd, PATIENCE):
                # Another process may have put the file away while this one waited for it.
                if self._is_current(fd) and not self._put_away(fd, len(records[0])):
                    done = self._write(fd, records)
                    del records[:done]

    def _is_current(self, fd: int) -> bool:
        """Whether the open file is the one at the path, which may have been renamed, deleted or replaced."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        mine = os.fstat(fd)
        return (found.st_ino, found.st_dev) == (mine.st_ino, mine.st_dev)

    def _put_away(self, fd: int, upcoming: int) -> bool:
        """Rename the file if it is due, and say so. Where that is not permitted, the file goes on growing."""
        file = os.fstat(fd)
        label = self._rotation.due(file, upcoming) if stat.S_ISREG(file.st_mode) else None
        if label is None:
            return False
        if not CAN_LOCK:  # Windows does not rename an open file
            self.close()
        try:
            self.path.rename(older_name(self.path, label))
        except OSError:
            return False
        self._rotated()
        return True

    def _write(self, fd: int, records: Sequence[bytes]) -> int:
        """Write as many records as the file has room for, and return their number."""
        if not stat.S_ISREG(os.fstat(fd).st_mode):  # a link to a device or a pipe
            return _written(fd, records)
        size = _mended(fd)
        count = _fitting(records, self._rotation.max_size - size)
        try:
            _written(fd, records[:count])
        except OSError:
            kept = os.fstat(fd).st_size - size
            whole = [end for end in accumulate(map(len, records)) if end <= kept]
            os.ftruncate(fd, size + (whole[-1] if whole else 0))
            if not whole:
                raise
            return len(whole)
        # Deleted while it was written to: what went into it is gone, and is written anew.
        return count if os.fstat(fd).st_nlink or self._is_current(fd) else 0


def _fitting(records: Sequence[bytes], room: float) -> int:
    """How many of the records fit; the first one always does, for it is larger than any file if it does not."""
    if room == math.inf:
        return len(records)
    return max(1, sum(1 for _ in takewhile(lambda end: end <= room, accumulate(map(len, records)))))


def _written(fd: int, records: Sequence[bytes]) -> int:
    rest = memoryview(b"".join(records))
    while rest:
        rest = rest[os.write(fd, rest) :]
    return len(records)


def _mended(fd: int) -> int:
    """The size of the file, without the half line of a process that was killed while it wrote."""
    size = os.fstat(fd).st_size
    if not CAN_LOCK or not size or os.pread(fd, 1, size - 1) == b"\n":
        return size
    tail = os.pread(fd, LONGEST, max(0, size - LONGEST))
    if not (whole := tail.rfind(b"\n") + 1) and size > LONGEST:
        return size + os.write(fd, b"\n")
    os.ftruncate(fd, size - len(tail) + whole)
    return size - len(tail) + whole
