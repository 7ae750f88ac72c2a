"""systemd notifications of a main process, after sd_notify(3): readiness, reloads, stops, the watchdog.

The protocol is one datagram per message, to the socket that the environment names; it needs no library. Outside a unit
of `Type=notify` there is no such socket, and nothing is sent.
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

logger = logging.getLogger("sanicbase.process.systemd")

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"


class Notifier:
    """Sends notifications to systemd. Sending never waits and never raises: a missing receiver ends no service."""

    def __init__(self, address: str = "", watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._has_failed = False

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Notifier:
        """The notifier that the environment describes. Removes the variables, so that child processes do not use them.

        Its watchdog interval is in seconds; None when there is none, or it is for another process.
        """
        address = environment.pop(SOCKET, "")
        microseconds, pid = environment.pop(WATCHDOG, ""), environment.pop(WATCHDOG_PID, "")
        is_for_us = microseconds.isdecimal() and int(microseconds) and pid in ("", str(os.getpid()))
        return cls(address, int(microseconds) / 1e6 if is_for_us else None)

    def ready(self, status: str) -> None:
        """The service is ready, for the first time or after a reload."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self, status: str) -> None:
        """The service begins to replace its workers; `ready` ends the reload, whether it succeeded or failed."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """The service begins to stop."""
        self._send("STOPPING=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={status}")

    async def feed_watchdog(self) -> None:
        """Feed the watchdog twice in each interval, until cancelled. A blocked event loop does not."""
        if self.watchdog is None:
            return
        while True:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog / 2)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self._address)
            self._has_failed = False
        except OSError as exc:
            if not self._has_failed:
                logger.warning("The notification %s could not be sent to systemd: %s.", lines[0], exc)
            self._has_failed = True
