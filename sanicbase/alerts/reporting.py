"""Reports of states and events, from any process and thread to the dispatcher of the main process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple, Self

from sanicbase.alerts.alert import AlertKind, AlertState

__all__ = ["Report", "report_begun", "report_ended", "report_event", "send_reports_to"]

MAX_SUBJECT, MAX_TEXT = 200, 700  # characters: a pipe accepts messages of up to 4096 bytes atomically


class Report(NamedTuple):
    """A state or an event that a process has noticed."""

    kind: AlertKind
    subject: str
    state: AlertState
    text: str

    def to_bytes(self) -> bytes:
        """The report as a message."""
        return json.dumps(self, ensure_ascii=False).encode(errors="replace")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The report of a message."""
        kind, subject, state, text = json.loads(data)
        return cls(kind, subject, state, text)


_send: Callable[[Report], None] | None = None


def send_reports_to(send: Callable[[Report], None] | None) -> None:
    """Let this process send its reports there; with None, they are discarded. `send` must neither block nor fail."""
    global _send
    _send = send


def report_begun(kind: AlertKind, subject: str, text: str) -> None:
    """Report that a state has begun. Reporting it again changes nothing."""
    _report(kind, subject, "begun", text)


def report_ended(kind: AlertKind, subject: str, text: str) -> None:
    """Report that the state has ended for this process."""
    _report(kind, subject, "ended", text)


def report_event(kind: AlertKind, subject: str, text: str) -> None:
    """Report an event, which has no end."""
    _report(kind, subject, "event", text)


def _report(kind: AlertKind, subject: str, state: AlertState, text: str) -> None:
    if _send is not None:
        _send(Report(kind, subject[:MAX_SUBJECT], state, text[:MAX_TEXT]))
