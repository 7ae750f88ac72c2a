"""The log of one process: what its threads hand over, and the files that it goes to."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC
from multiprocessing.util import Finalize
from typing import TypeVar
from zoneinfo import ZoneInfo

from sanicbase.config import Config
from sanicbase.log.backlog import Backlog
from sanicbase.log.clock import Clock
from sanicbase.log.console import Console
from sanicbase.log.entry import Entry, entry_of
from sanicbase.log.lines import Access, JsonLines, Lines, TextLines
from sanicbase.log.redaction import Redactor
from sanicbase.log.rotation import Rotation
from sanicbase.log.shared_file import SharedFile
from sanicbase.log.tidying import Tidier
from sanicbase.log.writer import Writer
from sanicbase.process.role import is_main_process

__all__ = ["Journal", "JournalHandler"]

LIMIT = 50_000  # lines of a kind that wait to be written; the oldest are dropped
SILENCE = 60.0  # seconds between two sentences on stderr
AT_EXIT = 2.0  # seconds
T = TypeVar("T")
NAMES = ("run.log", "error.log", "access.log")


class Journal:
    """Takes entries from any thread without waiting, and has its own thread write them.

    `run.log` has them all, `error.log` those of level ERROR and above, `access.log` the answered requests.
    """

    def __init__(self, config: Config, process: str) -> None:
        zone = UTC if config.LOG_UTC else ZoneInfo(config.TIME_ZONE)
        self.redactor = Redactor(config.LOG_REDACT)
        kind = JsonLines if config.LOG_FORMAT == "json" else TextLines
        self._lines: Lines = kind(Clock(zone), config.SERVER_NAME, process, self.redactor)
        paths = [config.log_dir / name for name in NAMES]
        self._tidier = Tidier.of(config, paths)
        self.files = [SharedFile(path, Rotation.of(config, zone), self._tidier.begin) for path in paths]
        self._run, self._error, self._access = (
            Backlog(file, stopped=self._say_stopped, resumed=self._say_resumed) for file in self.files
        )
        self._writer = Writer("sanicbase-log", self._work, started=self._flush_at_exit)
        self._console = Console()
        self._shows = config.LOG_CONSOLE
        self._spoken = -SILENCE
        self._entries: deque[Entry] = deque()
        self._accesses: deque[Access] = deque()
        self._dropped = 0
        self._dropping = threading.Lock()

    def put(self, entry: Entry) -> None:
        """Hand over an entry; one of level ERROR or above is written at once, others within a tenth of a second."""
        if len(self._entries) >= LIMIT:
            self._drop(self._entries)
        self._entries.append(entry)
        urgent = entry.level >= logging.ERROR
        if urgent or not self._writer.awake:
            self._writer.tell(urgent=urgent)

    def put_access(self, access: Access) -> None:
        """Hand over an answered request."""
        if len(self._accesses) >= LIMIT:
            self._drop(self._accesses)
        self._accesses.append(access)
        if not self._writer.awake:
            self._writer.tell()

    def open(self) -> None:
        """Open the files, made where they are missing. Raises OSError."""
        for file in self.files:
            file.open()
        self._tidier.begin()

    def flush(self, timeout: float) -> None:
        """Write what waits; `timeout` in seconds."""
        deadline = time.monotonic() + timeout
        self._writer.flush(timeout)
        self._console.flush(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Write what waits and close the files. A line that comes later opens them again."""
        self.flush(AT_EXIT)
        if waiting := len(self._run) + len(self._access):
            self._console.put([f"{waiting} lines of the log could not be written any more.\n".encode()])
            self._console.flush(AT_EXIT)
        self._tidier.finish(AT_EXIT)
        for file in self.files:
            file.close()

    def forget_parent(self) -> None:
        """In the child of a fork: what waits is the parent's to write, and the parent's locks are on its open files."""
        for backlog in (self._run, self._error, self._access):
            backlog.forget_parent()
        self._entries, self._accesses = deque(), deque()
        self._dropping = threading.Lock()
        self._tidier.forget_parent()
        self._writer.forget_parent()
        self._console.forget_parent()

    def _work(self) -> bool:
        """Write what waits, and say whether something is left."""
        entries, accesses = _taken(self._entries), _taken(self._accesses)
        lines = [self._line(entry) for entry in entries]
        requests = self._lines.accesses(accesses)
        if self._shows:
            self._console.put([*lines, *requests])
        self._run.write(lines)
        self._error.write([line for entry, line in zip(entries, lines, strict=True) if entry.level >= logging.ERROR])
        self._access.write(requests)
        if self._dropped and not self._run:
            self._say_dropped()
        return bool(self._run or self._error or self._access or self._entries)

    def _line(self, entry: Entry) -> bytes:
        try:
            return self._lines.entry(entry)
        except Exception as exc:  # such as a traceback that is too deep to be walked; the line itself stays
            message = f"{entry.message} ({type(exc).__name__} while the rest of this line was made)"
            return self._lines.entry(entry._replace(message=message, extra=None, trace=None, stack=None))

    def _drop(self, waiting: deque[Entry] | deque[Access]) -> None:
        with self._dropping, suppress(IndexError):
            waiting.popleft()
            self._dropped += 1

    def _say_dropped(self) -> None:
        with self._dropping:
            dropped, self._dropped = self._dropped, 0
        self._note(f"{dropped} lines were lost: the disk was slower than the program.")

    def _say_stopped(self, file: SharedFile, reason: str) -> None:
        self._tell_stderr(f"{file.path} cannot be written: {reason}. The newest lines are kept in memory.")

    def _say_resumed(self, file: SharedFile, reason: str, lost: int) -> None:
        self._tell_stderr(f"{file.path} is written again.")
        self._note(f"{lost} lines were lost while {file.path.name} could not be written: {reason}.")

    def _note(self, sentence: str) -> None:
        self.put(Entry(time.time(), logging.WARNING, "WARNING", "sanicbase.log", sentence))

    def _tell_stderr(self, sentence: str) -> None:
        now = time.monotonic()
        if now - self._spoken >= SILENCE:
            self._spoken = now
            self._console.put([f"{sentence}\n".encode()])

    def _flush_at_exit(self) -> None:
        """A child that multiprocessing made by fork ends without Python's exit functions, but not without its own."""
        if not is_main_process():
            Finalize(self, self.flush, args=(AT_EXIT,), exitpriority=-100)


class JournalHandler(logging.Handler):
    """Python's logging, into the journal."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self.journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record over."""
        try:
            self.journal.put(entry_of(record, self.journal.redactor))
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits; Python calls this when it ends."""
        self.journal.flush(AT_EXIT)

    def close(self) -> None:
        """Write what waits and close the files; Python calls this when it ends."""
        self.journal.close()
        super().close()


def _taken(waiting: deque[T]) -> list[T]:
    return [waiting.popleft() for _ in range(len(waiting))]
