"""What a worker tells its main process: that it is ready, that it lives, why it could not start, what `app.m` asks."""

from __future__ import annotations

import os
from contextlib import suppress
from multiprocessing.connection import Connection

__all__ = ["ALIVE", "FAILED", "READY", "RESTART", "TERMINATE", "tell"]

READY = b"ready"
ALIVE = b"alive"
FAILED = b"failed "  # and the reason, in UTF-8
RESTART = b"restart "  # and a process by its name; without one, all workers
TERMINATE = b"terminate"


def tell(channel: Connection[bytes, bytes], message: bytes) -> None:
    """Send a message without ever waiting: a main process that does not read must not hold up a worker."""
    os.set_blocking(channel.fileno(), False)
    with suppress(OSError):
        channel.send_bytes(message)
