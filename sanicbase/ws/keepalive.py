"""Pings: a client that went without a word is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["KeepAlive"]


class KeepAlive:
    """Pings every `interval` seconds, and calls `give_up` when nothing is heard for `timeout` seconds after one.

    Without an interval it does nothing, without a timeout it gives nobody up.
    """

    def __init__(
        self, ping: Callable[[], None], give_up: Callable[[], None], interval: float | None, timeout: float | None
    ) -> None:
        self._ping = ping
        self._give_up = give_up
        self._interval = interval
        self._timeout = timeout
        self._next: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Send the first ping in an interval."""
        if self._interval:
            self._next = asyncio.get_running_loop().call_later(self._interval, self._beat)

    def stop(self) -> None:
        """Ping no more."""
        self.heard()
        if self._next:
            self._next.cancel()

    def heard(self) -> None:
        """Something came from the client, whatever it was."""
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _beat(self) -> None:
        self.start()
        if self._deadline is None:
            self._ping()
            if self._timeout:
                self._deadline = asyncio.get_running_loop().call_later(self._timeout, self._end)

    def _end(self) -> None:
        self._deadline = None
        self._give_up()
