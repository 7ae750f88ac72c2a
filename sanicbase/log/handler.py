"""The logging handler of a process, and the writer that takes its records to the files."""

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

from sanicbase.alerts import report_begun, report_ended
from sanicbase.config import Config
from sanicbase.log.background import BackgroundThread
from sanicbase.log.buffer import FileBuffer
from sanicbase.log.console import Console
from sanicbase.log.formatters import Formatter, JsonFormatter, TextFormatter, TimestampFormatter
from sanicbase.log.records import AccessRecord, PreparedRecord, prepare
from sanicbase.log.redaction import Redactor
from sanicbase.log.retention import Retention
from sanicbase.log.rotation import Rotation
from sanicbase.log.shared_file import SharedFile
from sanicbase.process.role import is_main_process

__all__ = ["LogHandler", "LogWriter"]

QUEUE_SIZE = 50_000  # records of a kind; the oldest are dropped
STDERR_INTERVAL = 60.0  # seconds between two of our own messages on stderr
EXIT_TIMEOUT = 2.0  # seconds
SLICE = 100  # access lines that are formatted in one go, which takes 0.2 ms
PAUSE = 0.0002  # seconds between two slices
T = TypeVar("T")
FILE_NAMES = ("run.log", "error.log", "access.log")


class LogWriter:
    """Takes records from any thread without waiting; a background thread writes them.

    All of them go to `run.log`, those of level ERROR and above also to `error.log`, answered requests to `access.log`.
    """

    def __init__(self, config: Config, process: str) -> None:
        zone = UTC if config.LOG_UTC else ZoneInfo(config.TIME_ZONE)
        self.redactor = Redactor(config.LOG_REDACT)
        formatter = JsonFormatter if config.LOG_FORMAT == "json" else TextFormatter
        self._formatter: Formatter = formatter(TimestampFormatter(zone), config.SERVER_NAME, process, self.redactor)
        paths = [config.log_dir / name for name in FILE_NAMES]
        self._retention = Retention.of(config, paths)
        self.files = [SharedFile(path, Rotation.of(config, zone), self._retention.start) for path in paths]
        self._run, self._error, self._access = (
            FileBuffer(file, on_failure=self._report_failure, on_recovery=self._report_recovery) for file in self.files
        )
        self._thread = BackgroundThread("sanicbase-log", self._work, on_start=self._flush_at_exit)
        self._console = Console()
        self._has_console = config.LOG_CONSOLE
        self._last_stderr = -STDERR_INTERVAL
        self._records: deque[PreparedRecord] = deque()
        self._access_records: deque[AccessRecord] = deque()
        self._dropped = 0
        self._drop_lock = threading.Lock()

    def put(self, record: PreparedRecord) -> None:
        """Queue a record. One of level ERROR or above is written at once, others within a tenth of a second."""
        if len(self._records) >= QUEUE_SIZE:
            self._drop(self._records)
        self._records.append(record)
        urgent = record.level >= logging.ERROR
        if urgent or not self._thread.is_awake:
            self._thread.wake(urgent=urgent)

    def put_access(self, record: AccessRecord) -> None:
        """Queue an answered request."""
        if len(self._access_records) >= QUEUE_SIZE:
            self._drop(self._access_records)
        self._access_records.append(record)
        if not self._thread.is_awake:
            self._thread.wake()

    def open(self) -> None:
        """Open the files, and create those that are missing. Raises OSError."""
        for file in self.files:
            file.open()
        self._retention.start()

    def flush(self, timeout: float) -> None:
        """Write the queued records, for at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self._thread.flush(timeout)
        self._console.flush(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Write the queued records and close the files. A later record opens them again."""
        self.flush(EXIT_TIMEOUT)
        if unwritten := len(self._run) + len(self._access):
            self._console.put([f"{unwritten} log lines could not be written before the exit.\n".encode()])
            self._console.flush(EXIT_TIMEOUT)
        self._retention.join(EXIT_TIMEOUT)
        for file in self.files:
            file.close()

    def reset_after_fork(self) -> None:
        """In the child of a fork: the parent writes what is queued, and its locks are on its open files."""
        for buffer in (self._run, self._error, self._access):
            buffer.reset_after_fork()
        self._records, self._access_records = deque(), deque()
        self._drop_lock = threading.Lock()
        self._retention.reset_after_fork()
        self._thread.reset_after_fork()
        self._console.reset_after_fork()

    def _work(self) -> bool:
        """Write what is queued, and return whether something is left."""
        records, access_records = _drained(self._records), _drained(self._access_records)
        lines = [self._format(record) for record in records]
        access_lines = self._format_access(access_records)
        if self._has_console:
            self._console.put([*lines, *access_lines])
        self._run.write(lines)
        self._error.write([line for record, line in zip(records, lines, strict=True) if record.level >= logging.ERROR])
        self._access.write(access_lines)
        if self._dropped and not self._run:
            self._report_dropped()
        return bool(self._run or self._error or self._access or self._records)

    def _format(self, record: PreparedRecord) -> bytes:
        try:
            return self._formatter.format(record)
        except Exception as exc:  # such as a traceback that is too deep to walk; the message itself stays
            message = f"{record.message} (the rest of this line could not be formatted: {type(exc).__name__})"
            return self._formatter.format(record._replace(message=message, extra=None, trace=None, stack=None))

    def _format_access(self, records: list[AccessRecord]) -> list[bytes]:
        """Format in slices: a thread that computes holds the GIL for 5 ms, and the event loop would wait for it."""
        lines: list[bytes] = []
        for start in range(0, len(records), SLICE):
            if start:
                time.sleep(PAUSE)
            lines += self._formatter.format_access(records[start : start + SLICE])
        return lines

    def _drop(self, queue: deque[PreparedRecord] | deque[AccessRecord]) -> None:
        with self._drop_lock, suppress(IndexError):
            queue.popleft()
            self._dropped += 1

    def _report_dropped(self) -> None:
        with self._drop_lock:
            dropped, self._dropped = self._dropped, 0
        self._warn(f"{dropped} log lines were dropped: the disk was slower than the program.")

    def _report_failure(self, file: SharedFile, reason: str) -> None:
        text = f"{file.path} cannot be written: {reason}. The newest lines are kept in memory."
        self._write_stderr(text)
        report_begun("disk", file.path.name, text)

    def _report_recovery(self, file: SharedFile, reason: str, dropped: int) -> None:
        self._write_stderr(f"{file.path} can be written again.")
        report_ended("disk", file.path.name, f"{file.path} can be written again.")
        self._warn(f"{dropped} log lines were dropped while {file.path.name} could not be written: {reason}.")

    def _warn(self, message: str) -> None:
        self.put(PreparedRecord(time.time(), logging.WARNING, "WARNING", "sanicbase.log", message))

    def _write_stderr(self, message: str) -> None:
        now = time.monotonic()
        if now - self._last_stderr >= STDERR_INTERVAL:
            self._last_stderr = now
            self._console.put([f"{message}\n".encode()])

    def _flush_at_exit(self) -> None:
        """A child that multiprocessing has forked ends without Python's exit handlers, but runs multiprocessing's."""
        if not is_main_process():
            Finalize(self, self.flush, args=(EXIT_TIMEOUT,), exitpriority=-100)


class LogHandler(logging.Handler):
    """The handler on the root logger, which queues each record for the writer."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record."""
        try:
            self.writer.put(prepare(record, self.writer.redactor))
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Write the queued records; Python calls this at its exit."""
        self.writer.flush(EXIT_TIMEOUT)

    def close(self) -> None:
        """Write the queued records and close the files; Python calls this at its exit."""
        self.writer.close()
        super().close()


def _drained(queue: deque[T]) -> list[T]:
    return [queue.popleft() for _ in range(len(queue))]
