"""A file that any number of processes append to, and that any of them may put away for a new one.

A process writes while it holds the lock of the very file that stands at the path, and only who holds that lock may
rename the file. So nothing is written to a file once it was renamed, and it can be compressed at once.
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
from sanicbase.log.rotation import Rotation, older_name
from sanicbase.private import fault_of, make_directory

__all__ = ["NotOurs", "SharedFile"]

FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
MODE = 0o640  # logs name users and addresses; the account's group may collect them
FOLDER_MODE = 0o750
WRITABLE_FOR_OTHERS = stat.S_IWGRP | stat.S_IWOTH
PATIENCE = 2.0  # seconds that another process may keep the lock
LONGEST = 1024 * 1024  # bytes; half a line is looked for in so much of a file's end


class NotOurs(OSError):
    """A folder or file is a link or belongs to another account. `strerror` says which, `filename` of what."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(errno.EPERM, f"it {fault}", str(path))


class SharedFile:
    """One log file. It belongs to one thread at a time; `rotated` is called after a file was put away."""

    def __init__(self, path: Path, rotation: Rotation, rotated: Callable[[], object] = lambda: None) -> None:
        self.path = path
        self._rotation = rotation
        self._rotated = rotated
        self._fd: int | None = None

    def open(self) -> int:
        """Open the file, and make it and its folder where they are missing. Raises OSError.

        Whatever the umask, the file has mode 0640 and its folder 0750. Raises NotOurs when the folder or the file is a
        link or belongs to another account, who could have the lines elsewhere; a link to a device or a pipe may stay.
        """
        if self._fd is None:
            _check_folder(self.path.parent)
            self._fd = _opened(self.path)
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


def _check_folder(folder: Path) -> None:
    make_directory(folder, FOLDER_MODE)
    found = folder.lstat()
    if fault := fault_of(found):
        raise NotOurs(folder, fault)
    if hasattr(os, "geteuid") and found.st_mode & WRITABLE_FOR_OTHERS:
        folder.chmod(stat.S_IMODE(found.st_mode) & ~WRITABLE_FOR_OTHERS)


def _opened(path: Path) -> int:
    while True:
        with suppress(FileExistsError):
            fd = os.open(path, FLAGS | NO_LINK | os.O_CREAT | os.O_EXCL, MODE)
            if hasattr(os, "fchmod"):
                os.fchmod(fd, MODE)
            return fd
        with suppress(FileNotFoundError):  # another process has just put it away
            return _existing(path)


def _existing(path: Path) -> int:
    try:
        fd = os.open(path, FLAGS | NO_LINK)
    except OSError as exc:
        if not path.is_symlink():
            raise
        return _device(path, exc)
    found = os.fstat(fd)
    if fault := fault_of(found) if stat.S_ISREG(found.st_mode) else None:
        os.close(fd)
        raise NotOurs(path, fault)
    if stat.S_ISREG(found.st_mode) and hasattr(os, "fchmod") and found.st_mode & WRITABLE_FOR_OTHERS:
        os.fchmod(fd, stat.S_IMODE(found.st_mode) & ~WRITABLE_FOR_OTHERS)
    return fd


def _device(link: Path, refusal: OSError) -> int:
    """What the link leads to, if that is a device or a pipe."""
    with suppress(FileNotFoundError):
        fd = os.open(link, FLAGS)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
    raise NotOurs(link, "is a symbolic link") from refusal


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
