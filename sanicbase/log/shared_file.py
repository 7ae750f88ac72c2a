"""A file that any number of processes append to, and that any of them may rotate.

A process writes while it holds the lock of the file that the path currently names, and only the holder of that lock may
rename the file. Nothing is therefore written to a file after it was renamed, and it can be compressed immediately.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import accumulate, takewhile
from pathlib import Path

from sanicbase.log.locking import CAN_LOCK, locked
from sanicbase.log.rotation import Rotation, rotated_name
from sanicbase.private_directory import make_directory, ownership_problem

__all__ = ["SharedFile", "UntrustedPath"]

FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
MODE = 0o640  # logs name users and addresses; the account's group may collect them
FOLDER_MODE = 0o750
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
LOCK_TIMEOUT = 2.0  # seconds
TAIL_SIZE = 1024 * 1024  # bytes at the end of a file that are searched for an incomplete line


class UntrustedPath(OSError):
    """A folder or file is a link or belongs to another account. `strerror` says which, `filename` is its path."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(errno.EPERM, f"it {fault}", str(path))


class SharedFile:
    """One log file. Only one thread may use it at a time. `on_rotate` is called after each rotation."""

    def __init__(self, path: Path, rotation: Rotation, on_rotate: Callable[[], object] = lambda: None) -> None:
        self.path = path
        self._rotation = rotation
        self._on_rotate = on_rotate
        self._fd: int | None = None

    def open(self) -> int:
        """Open the file. Create it and its folder when they are missing. Raises OSError.

        Whatever the umask, the file has mode 0640 and its folder 0750. Raises UntrustedPath when the folder or the file
        is a link or belongs to another account, which could redirect the lines; links to devices and pipes are allowed.
        """
        if self._fd is None:
            _check_folder(self.path.parent)
            self._fd = _open(self.path)
        return self._fd

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):
                os.close(fd)

    def append(self, records: list[bytes]) -> None:
        """Write the records, each one or more whole lines, and remove those that were written from the list.

        Raises OSError when it cannot continue; the file then ends with a whole record, and the list has the rest.
        """
        while records:
            fd = self.open()
            if not self._is_current(fd):
                self.close()
                continue
            with locked(fd, LOCK_TIMEOUT):
                # Another process may have rotated the file while this one waited for the lock.
                if self._is_current(fd) and not self._rotate(fd, len(records[0])):
                    written = self._write(fd, records)
                    del records[:written]

    def _is_current(self, fd: int) -> bool:
        """Whether the path still names the open file, which may have been renamed, deleted or replaced."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(fd))
        except OSError:
            return False

    def _rotate(self, fd: int, upcoming: int) -> bool:
        """Rename the file if it is due, and return whether it was. Without the permission, the file keeps growing."""
        file = os.fstat(fd)
        label = self._rotation.due(file, upcoming) if stat.S_ISREG(file.st_mode) else None
        if label is None:
            return False
        if not CAN_LOCK:  # Windows does not rename an open file
            self.close()
        try:
            self.path.rename(rotated_name(self.path, label))
        except OSError:
            return False
        self._on_rotate()
        return True

    def _write(self, fd: int, records: Sequence[bytes]) -> int:
        """Write as many records as the file has room for, and return their number."""
        if not stat.S_ISREG(os.fstat(fd).st_mode):  # a link to a device or a pipe
            return _write_all(fd, records)
        size = _repair(fd)
        count = _count_fitting(records, self._rotation.max_size - size)
        try:
            _write_all(fd, records[:count])
        except OSError:
            written = os.fstat(fd).st_size - size
            ends = [end for end in accumulate(map(len, records)) if end <= written]
            os.ftruncate(fd, size + (ends[-1] if ends else 0))
            if not ends:
                raise
            return len(ends)
        # The file was deleted during the write: the records are gone with it, and are written again.
        return count if os.fstat(fd).st_nlink or self._is_current(fd) else 0


def _check_folder(folder: Path) -> None:
    make_directory(folder, FOLDER_MODE)
    status = folder.lstat()
    if fault := ownership_problem(status):
        raise UntrustedPath(folder, fault)
    if hasattr(os, "geteuid") and status.st_mode & WRITABLE_BY_OTHERS:
        folder.chmod(stat.S_IMODE(status.st_mode) & ~WRITABLE_BY_OTHERS)


def _open(path: Path) -> int:
    while True:
        with suppress(FileExistsError):
            fd = os.open(path, FLAGS | NO_FOLLOW | os.O_CREAT | os.O_EXCL, MODE)
            if hasattr(os, "fchmod"):
                os.fchmod(fd, MODE)
            return fd
        with suppress(FileNotFoundError):  # another process has just rotated it
            return _open_existing(path)


def _open_existing(path: Path) -> int:
    try:
        fd = os.open(path, FLAGS | NO_FOLLOW)
    except OSError as exc:
        if not path.is_symlink():
            raise
        return _open_device(path, exc)
    status = os.fstat(fd)
    if fault := ownership_problem(status) if stat.S_ISREG(status.st_mode) else None:
        os.close(fd)
        raise UntrustedPath(path, fault)
    if stat.S_ISREG(status.st_mode) and hasattr(os, "fchmod") and status.st_mode & WRITABLE_BY_OTHERS:
        os.fchmod(fd, stat.S_IMODE(status.st_mode) & ~WRITABLE_BY_OTHERS)
    return fd


def _open_device(link: Path, error: OSError) -> int:
    """Open the target of the link, if it is a device or a pipe."""
    with suppress(FileNotFoundError):
        fd = os.open(link, FLAGS)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
    raise UntrustedPath(link, "is a symbolic link") from error


def _count_fitting(records: Sequence[bytes], room: float) -> int:
    """How many of the records fit. The first one counts always: if it does not fit here, it fits nowhere."""
    if room == math.inf:
        return len(records)
    return max(1, sum(1 for _ in takewhile(lambda end: end <= room, accumulate(map(len, records)))))


def _write_all(fd: int, records: Sequence[bytes]) -> int:
    rest = memoryview(b"".join(records))
    while rest:
        rest = rest[os.write(fd, rest) :]
    return len(records)


def _repair(fd: int) -> int:
    """Remove the incomplete line of a process that was killed while it wrote; returns the size of the file."""
    size = os.fstat(fd).st_size
    if not CAN_LOCK or not size or os.pread(fd, 1, size - 1) == b"\n":
        return size
    tail = os.pread(fd, TAIL_SIZE, max(0, size - TAIL_SIZE))
    if not (end := tail.rfind(b"\n") + 1) and size > TAIL_SIZE:
        return size + os.write(fd, b"\n")
    os.ftruncate(fd, size - len(tail) + end)
    return size - len(tail) + end
