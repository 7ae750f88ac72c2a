"""stderr, which may be a pipe that nobody reads: only its own thread waits for it."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress

from sanicbase.log.writer import Writer

__all__ = ["Console"]

STDERR = 2  # sys.stderr's lock may be held for ever by a daemon thread when the interpreter ends
LIMIT = 10_000  # records that wait; the oldest are dropped
PATIENCE = 1.0  # seconds
PIECE = 4096  # bytes; a pipe takes so much as a whole


class Console:
    """Lines for whoever looks on. None of them is worth waiting for."""

    def __init__(self) -> None:
        self._records: deque[bytes] = deque(maxlen=LIMIT)
        self._writer = Writer("sanicbase-console", self._work)

    def put(self, records: list[bytes]) -> None:
        """Show the records, soon."""
        self._records.extend(records)
        if records and not self._writer.awake:
            self._writer.tell(urgent=True)

    def flush(self, timeout: float) -> None:
        """Return when what waits was shown, or after `timeout` seconds."""
        self._writer.flush(timeout)

    def forget_parent(self) -> None:
        """In the child of a fork: what waits is the parent's."""
        self._records.clear()
        self._writer.forget_parent()

    def _work(self) -> bool:
        with suppress(OSError):  # closed, or on a full disk itself
            while self._records:
                piece = self._records.popleft()
                while self._records and len(piece) + len(self._records[0]) <= PIECE:
                    piece += self._records.popleft()
                _show(piece)
        return False


def _show(text: bytes) -> None:
    rest, deadline = memoryview(text), time.monotonic() + PATIENCE
    while rest:
        try:
            rest = rest[os.write(STDERR, rest) :]
        except BlockingIOError:  # somebody made the shared pipe non-blocking
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
