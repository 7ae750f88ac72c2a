"""The messages that a worker sends to its main process: ready, alive, why it failed, reports for alerts, slow
requests and statements, and the requests of `app.m`."""

from __future__ import annotations

import os
from contextlib import suppress
from multiprocessing.connection import Connection

__all__ = ["ALIVE", "FAILED", "READY", "REPORT", "RESTART", "SLOW", "TERMINATE", "send"]

READY = b"ready"
ALIVE = b"alive "  # followed by the number of requests that it has served, if that is counted
FAILED = b"failed "  # followed by the reason, in UTF-8
REPORT = b"report "  # followed by a report, see sanicbase.alerts
SLOW = b"slow "  # followed by an event, see sanicbase.metrics.slow
RESTART = b"restart "  # followed by a process's name; without one, all workers
TERMINATE = b"terminate"


def send(channel: Connection[bytes, bytes], message: bytes) -> None:
    """Send a message without waiting: a main process that does not read must not block a worker."""
    os.set_blocking(channel.fileno(), False)
    with suppress(OSError):
        channel.send_bytes(message)
