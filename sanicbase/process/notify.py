"""What a main process tells systemd, after sd_notify(3): that it is ready, reloads, lives and stops.

The protocol is one datagram for each message, to the socket that the environment names. No library is needed for it.
Elsewhere than under a unit of `Type=notify` nobody has asked, and nothing is sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import closing

__all__ = ["Notifier"]

logger = logging.getLogger("sanicbase.process.notify")

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"


class Notifier:
    """The line to systemd. A message never waits and never raises: a service does not end because nobody listens."""

    def __init__(self, address: str = "", watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._refused = False

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Notifier:
        """The one that the environment describes, which loses the description: it is not for children.

        Its watchdog is in seconds; None when there is none, or it watches another process.
        """
        address = environment.pop(SOCKET, "")
        microseconds, pid = environment.pop(WATCHDOG, ""), environment.pop(WATCHDOG_PID, "")
        is_meant = microseconds.isdecimal() and int(microseconds) and pid in ("", str(os.getpid()))
        return cls(address, int(microseconds) / 1e6 if is_meant else None)

    def ready(self, status: str) -> None:
        """The service serves, for the first time or after a reload."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self, status: str) -> None:
        """The service is about to replace its workers; `ready` ends that, however it went."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """The service takes no more work."""
        self._send("STOPPING=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    async def show_life(self) -> None:
        """Feed the watchdog twice in each of its intervals, until cancelled. A loop that stands still does not."""
        if self.watchdog is None:
            return
        while True:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog / 2)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as line:
                line.setblocking(False)
                line.sendto("\n".join(lines).encode(), self._address)
            self._refused = False
        except OSError as exc:
            if not self._refused:
                logger.warning("systemd could not be told %s: %s.", lines[0], exc)
            self._refused = True
