"""Retention of rotated log files: they are compressed, kept for a time, and deleted."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from sanicbase.config import Config
from sanicbase.log.locking import folder_locked
from sanicbase.log.rotation import rotated_files

__all__ = ["Retention"]

DAY = 86400.0  # seconds
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
LOCK_TIMEOUT = 600.0  # seconds that another process may take for the same work


class Retention:
    """Compresses and deletes rotated files in a separate thread. Only one process does so at a time.

    When a process is killed in the middle, the next run cleans up after it.
    """

    def __init__(self, files: Sequence[Path], *, keep: int, days: int, compress: bool) -> None:
        self._files = files
        self._keep = keep
        self._days = days
        self._compress = compress
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """In the child of a fork: the thread does not exist there."""
        self._lock = threading.Lock()
        self._requested = False
        self._thread: threading.Thread | None = None

    @classmethod
    def of(cls, config: Config, files: Sequence[Path]) -> Retention:
        """Configured by the settings."""
        return cls(files, keep=config.LOG_KEEP, days=config.LOG_KEEP_DAYS, compress=config.LOG_COMPRESS)

    def start(self) -> None:
        """Apply the rules in the background. Does not wait."""
        with self._lock:
            self._requested = True
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="sanicbase-log-retention", daemon=True)
                with suppress(RuntimeError):  # the interpreter is shutting down; the next start does it
                    thread.start()
                    self._thread = thread

    def join(self, timeout: float) -> None:
        """Return when the thread has finished, or after `timeout` seconds."""
        if (thread := self._thread) is not None:
            thread.join(timeout)

    def apply(self) -> None:
        """Delete the files that are too many or too old, and compress the others. Raises OSError."""
        with folder_locked(self._files[0].parent, LOCK_TIMEOUT):
            for current in self._files:
                self._apply(current)

    def _run(self) -> None:
        while self._is_requested():
            with suppress(OSError):  # the folder was removed, or the disk is full: the next run will do
                self.apply()

    def _is_requested(self) -> bool:
        with self._lock:
            requested, self._requested = self._requested, False
            if not requested:
                self._thread = None
            return requested

    def _apply(self, current: Path) -> None:
        for abandoned in current.parent.glob(f"{current.name}.*.tmp"):
            abandoned.unlink(missing_ok=True)
        rotated = rotated_files(current)
        expired = rotated[: -self._keep]
        if self._days:
            expired += [
                path for path in rotated[-self._keep :] if path.stat().st_mtime < time.time() - self._days * DAY
            ]
        for path in expired:
            path.unlink(missing_ok=True)
        for path in rotated:
            if self._compress and path.suffix != ".gz" and path not in expired:
                _compress(path)


def _compress(path: Path) -> None:
    """Replace the file with a compressed one that keeps its mode and modification time."""
    part = path.with_name(f"{path.name}.gz.tmp")
    try:
        with path.open("rb") as source, _create_private(part) as raw, gzip.open(raw, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
        status = path.stat()
        part.chmod(status.st_mode)
        os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
        part.replace(path.with_name(f"{path.name}.gz"))
    except OSError:
        part.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


def _create_private(path: Path) -> BinaryIO:
    """A new file that no other account can read, whatever the umask, until it gets the mode of the original."""
    return os.fdopen(os.open(path, NEW, 0o600), "wb")
