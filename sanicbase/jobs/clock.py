"""Redis' time, as this process tells it between two answers."""

from __future__ import annotations

import time

__all__ = ["Clock"]

SLOW = 0.5  # seconds; an answer that took longer says little about the time


class Clock:
    """Another machine's clock, kept by this process's monotonic one: the time of day that this machine believes in
    plays no part, and neither does setting it.

    Off by half of an answer's way at most. It is only for waking up in time: who may run is decided by the other
    machine's own clock.
    """

    def __init__(self) -> None:
        self._ahead: float | None = None

    def learn(self, milliseconds: int, sent: float, received: float) -> None:
        """Take in an answer that told the time, by the monotonic clock's readings when it was asked and received."""
        if self._ahead is None or received - sent < SLOW:
            self._ahead = milliseconds / 1000 - (sent + received) / 2

    def now(self) -> int:
        """The other machine's time, in milliseconds since 1970; this machine's own before the first answer."""
        now = time.time() if self._ahead is None else time.monotonic() + self._ahead
        return int(now * 1000)
