"""stderr, which may be a pipe that nobody reads: only a separate thread waits for it."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress

from sanicbase.log.background import BackgroundThread

__all__ = ["Console"]

STDERR = 2  # when the interpreter shuts down, a daemon thread may hold sys.stderr's lock for ever
LIMIT = 10_000  # lines in the queue; the oldest are dropped
TIMEOUT = 1.0  # seconds
PIECE = 4096  # bytes; a pipe takes so much in one write


class Console:
    """The log's lines on stderr. The service never waits for them."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=LIMIT)
        self._thread = BackgroundThread("sanicbase-console", self._work)

    def put(self, lines: list[bytes]) -> None:
        """Queue the lines."""
        self._lines.extend(lines)
        if lines and not self._thread.is_awake:
            self._thread.wake(urgent=True)

    def flush(self, timeout: float) -> None:
        """Return when the queued lines were shown, or after `timeout` seconds."""
        self._thread.flush(timeout)

    def reset_after_fork(self) -> None:
        """In the child of a fork: the parent shows the queued lines."""
        self._lines.clear()
        self._thread.reset_after_fork()

    def _work(self) -> bool:
        with suppress(OSError):  # closed, or a file on a full disk
            while self._lines:
                piece = self._lines.popleft()
                while self._lines and len(piece) + len(self._lines[0]) <= PIECE:
                    piece += self._lines.popleft()
                _write(piece)
        return False


def _write(text: bytes) -> None:
    rest, deadline = memoryview(text), time.monotonic() + TIMEOUT
    while rest:
        try:
            rest = rest[os.write(STDERR, rest) :]
        except BlockingIOError:  # another process made the shared pipe non-blocking
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
