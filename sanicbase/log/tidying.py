"""Older log files: compressed, kept for so long, deleted."""

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
from sanicbase.log.rotation import older_files

__all__ = ["Tidier"]

DAY = 86400.0  # seconds
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
PATIENCE = 600.0  # seconds that another process may take for the same


class Tidier:
    """Sees to the files that were put away, in a thread of its own; of several processes one at a time does it.

    A process that is killed meanwhile leaves nothing that the next one does not put in order.
    """

    def __init__(self, files: Sequence[Path], *, keep: int, days: int, compress: bool) -> None:
        self._files = files
        self._keep = keep
        self._days = days
        self._compress = compress
        self.forget_parent()

    def forget_parent(self) -> None:
        """In the child of a fork: no thread came along."""
        self._changing = threading.Lock()
        self._asked = False
        self._thread: threading.Thread | None = None

    @classmethod
    def of(cls, config: Config, files: Sequence[Path]) -> Tidier:
        """What the settings say."""
        return cls(files, keep=config.LOG_KEEP, days=config.LOG_KEEP_DAYS, compress=config.LOG_COMPRESS)

    def begin(self) -> None:
        """Tidy up soon. Does not wait."""
        with self._changing:
            self._asked = True
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="sanicbase-log-tidier", daemon=True)
                with suppress(RuntimeError):  # the interpreter is ending; another process, or the next start, does it
                    thread.start()
                    self._thread = thread

    def finish(self, timeout: float) -> None:
        """Return when it is done, or after `timeout` seconds."""
        if (thread := self._thread) is not None:
            thread.join(timeout)

    def tidy(self) -> None:
        """Delete what is too much or too old, and compress the rest. Raises OSError."""
        with folder_locked(self._files[0].parent, PATIENCE):
            for current in self._files:
                self._tidy(current)

    def _run(self) -> None:
        while self._is_asked():
            with suppress(OSError):  # the folder was removed, or the disk is full: the next time will do
                self.tidy()

    def _is_asked(self) -> bool:
        with self._changing:
            asked, self._asked = self._asked, False
            if not asked:
                self._thread = None
            return asked

    def _tidy(self, current: Path) -> None:
        for abandoned in current.parent.glob(f"{current.name}.*.tmp"):
            abandoned.unlink(missing_ok=True)
        older = older_files(current)
        surplus = older[: -self._keep]
        if self._days:
            surplus += [path for path in older[-self._keep :] if path.stat().st_mtime < time.time() - self._days * DAY]
        for path in surplus:
            path.unlink(missing_ok=True)
        for path in older:
            if self._compress and path.suffix != ".gz" and path not in surplus:
                _compress(path)


def _compress(path: Path) -> None:
    """Replace the file by its compressed twin, which has its time."""
    part = path.with_name(f"{path.name}.gz.tmp")
    try:
        with path.open("rb") as source, _new(part) as raw, gzip.open(raw, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
        found = path.stat()
        part.chmod(found.st_mode)
        os.utime(part, ns=(found.st_atime_ns, found.st_mtime_ns))
        part.replace(path.with_name(f"{path.name}.gz"))
    except OSError:
        part.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


def _new(path: Path) -> BinaryIO:
    """A file that is there for nobody else, whatever the umask, until it has the mode of what is compressed."""
    return os.fdopen(os.open(path, NEW, 0o600), "wb")
