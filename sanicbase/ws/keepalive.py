"""Pings, which detect clients that have disappeared without closing the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["KeepAlive"]


class KeepAlive:
    """Pings every `interval` seconds, and calls `on_timeout` when nothing is received for `timeout` seconds after one.

    Without an interval it does nothing; without a timeout it never calls `on_timeout`.
    """

    def __init__(
        self, ping: Callable[[], None], on_timeout: Callable[[], None], interval: float | None, timeout: float | None
    ) -> None:
        self._ping = ping
        self._on_timeout = on_timeout
        self._interval = interval
        self._timeout = timeout
        self._next: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Send the first ping after an interval."""
        if self._interval:
            self._next = asyncio.get_running_loop().call_later(self._interval, self._tick)

    def stop(self) -> None:
        """Stop sending pings."""
        self.received()
        if self._next:
            self._next.cancel()

    def received(self) -> None:
        """Note that the client sent something."""
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _tick(self) -> None:
        self.start()
        if self._deadline is None:
            self._ping()
            if self._timeout:
                self._deadline = asyncio.get_running_loop().call_later(self._timeout, self._expire)

    def _expire(self) -> None:
        self._deadline = None
        self._on_timeout()
