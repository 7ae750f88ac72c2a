"""The availability of a database server: one log line when it becomes unavailable, one when it is back."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from sanicbase.alerts import report_begun, report_ended
from sanicbase.db.errors import DatabaseTLSError, State
from sanicbase.i18n import gettext_noop

__all__ = ["Outage", "reason"]

logger = logging.getLogger("sanicbase.db")

NO_ANSWER = gettext_noop("no answer in time")
LOG_INTERVAL = 10.0  # seconds between two lines about the same state of a server

MESSAGES: dict[State, tuple[str, str]] = {
    "away": ("does not answer", "answers again"),
    "refusing": ("accepts no more connections", "takes connections again"),
    "read_only": ("is read-only", "takes writes again"),
    "full": ("has no space left", "has space again"),
    "exhausted": ("cannot execute statements", "executes statements again"),
}


@dataclass
class _Episode:
    since: float = 0.0
    logged_at: float = float("-inf")
    logged: bool = False


class Outage:
    """What one process knows about the server of a connection, which log lines call `name`.

    A new state is logged at once, or LOG_INTERVAL seconds after the last line about it if it still lasts.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.states: set[State] = set()  # nearly always empty
        self._episodes = {state: _Episode() for state in MESSAGES}

    @property
    def is_down(self) -> bool:
        """Whether the server does not answer."""
        return "away" in self.states

    def failed(self, error: BaseException, state: State = "away") -> None:
        """Record an error: no answer, or one that has the server's state."""
        now, episode = time.monotonic(), self._episodes[state]
        if state != "away":
            self.ended("away")
        if state not in self.states:
            self.states.add(state)
            episode.logged, episode.since = False, now
        if not episode.logged and now - episode.logged_at >= LOG_INTERVAL:
            episode.logged, episode.logged_at = True, now
            text = f"The database {self.name} {MESSAGES[state][0]}: {reason(error)}."
            logger.warning("%s", text)
            report_begun("server", self._subject(state), text)

    def answered(self) -> None:
        """Record that a statement was executed."""
        self.ended("away", "exhausted")

    def connected(self) -> None:
        """Record that a connection was opened."""
        self.ended("refusing")

    def written(self) -> None:
        """Record that a write was executed."""
        self.ended("read_only", "full")

    def ended(self, *states: State) -> None:
        """Record that these states have ended."""
        for state in self.states.intersection(states):
            self.states.discard(state)
            episode = self._episodes[state]
            if episode.logged:
                seconds = time.monotonic() - episode.since
                text = f"The database {self.name} {MESSAGES[state][1]}, after {seconds:.1f} s."
                logger.warning("%s", text)
                report_ended("server", self._subject(state), text)

    def _subject(self, state: State) -> str:
        return f"database {self.name}" if state == "away" else f"database {self.name} ({state})"


def reason(error: BaseException) -> str:
    """The root cause of an error, which drivers and Tortoise wrap in less specific ones."""
    while not isinstance(error, DatabaseTLSError) and (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, DatabaseTLSError):
        return error.failure.cause
    if isinstance(error, TimeoutError | asyncio.CancelledError):
        return NO_ANSWER
    text = str(error.args[-1] if error.args else error).strip().rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
