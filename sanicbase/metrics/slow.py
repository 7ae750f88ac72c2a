"""Slow requests and statements, which a process reports to its main process while it counts everything."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Literal, NamedTuple, Self

__all__ = ["SLOW", "SlowEvent", "SlowKind", "report_slow", "send_slow_to"]

SLOW = 0.1
"""The seconds from which a request or a statement is slow."""
MAX_PER_SECOND = 10  # of one process; further ones are not reported, so that a flood delays no heartbeat
MAX_TEXT, MAX_ID = 300, 64  # characters: a pipe accepts messages of up to 4096 bytes atomically

SlowKind = Literal["request", "statement"]


class SlowEvent(NamedTuple):
    """A request or a statement that was slow."""

    kind: SlowKind
    moment: float
    """When it ended, in seconds since 1970."""
    seconds: float
    subject: str
    """The method and the status of a request, or the name of a statement's database."""
    text: str
    """The path of the request, or the statement without its values."""
    request_id: str
    """The id of the request; empty for a statement outside of requests."""

    def to_bytes(self) -> bytes:
        """The event as a message."""
        return json.dumps(self, ensure_ascii=False).encode(errors="replace")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The event of a message."""
        return cls(*json.loads(data))


_send: Callable[[SlowEvent], None] | None = None
_second, _sent = 0, 0


def send_slow_to(send: Callable[[SlowEvent], None] | None) -> None:
    """Let this process send its slow events there; with None, they are discarded. `send` must neither block nor
    fail."""
    global _send
    _send = send


def report_slow(kind: SlowKind, seconds: float, subject: str, text: str, request_id: str) -> None:
    """Report a request or a statement that took SLOW seconds or more, and has ended now."""
    global _second, _sent
    if _send is None:
        return
    now = time.time()
    if int(now) != _second:
        _second, _sent = int(now), 0
    if _sent < MAX_PER_SECOND:
        _sent += 1
        _send(SlowEvent(kind, now, seconds, subject[:MAX_ID], text[:MAX_TEXT], request_id[:MAX_ID]))
