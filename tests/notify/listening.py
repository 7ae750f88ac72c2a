"""systemd's end of the line: a real datagram socket that keeps what it hears."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path


class Notification:
    """One message: its fields, and when it arrived."""

    def __init__(self, datagram: bytes) -> None:
        self.fields = dict(line.split("=", 1) for line in datagram.decode().splitlines())
        self.at = time.monotonic()

    @property
    def kind(self) -> str:
        """`READY`, `RELOADING`, `STOPPING`, `WATCHDOG` or `STATUS`."""
        return next(iter(self.fields))


class SystemdEnd:
    """Listens at `address` within its `with` block, at an abstract one unless a path is given."""

    def __init__(self, path: Path | None = None) -> None:
        self.address = str(path) if path else f"@sanicbase-test-{os.getpid()}-{id(self)}"
        self.notifications: list[Notification] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0.05)
        self._socket.bind(str(path) if path else f"\0{self.address[1:]}")
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> SystemdEnd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._socket.close()

    def kinds(self) -> list[str]:
        """The states in order, without heartbeats and messages of status alone."""
        return [message.kind for message in self.notifications if message.kind not in ("WATCHDOG", "STATUS")]

    def signs_of_life(self) -> list[float]:
        """When the watchdog was fed."""
        return [message.at for message in self.notifications if message.kind == "WATCHDOG"]

    def _listen(self) -> None:
        while not self._ending.is_set():
            try:
                self.notifications.append(Notification(self._socket.recv(4096)))
            except TimeoutError:
                continue
