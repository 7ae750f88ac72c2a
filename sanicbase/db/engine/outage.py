"""Whether a database server does its work: one line in the log when it stops, one when it is back."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from sanicbase.db.errors import DatabaseTLSError, State

__all__ = ["Outage", "reason"]

logger = logging.getLogger("sanicbase.db")

LOG_INTERVAL = 10.0  # seconds without another line about the same server's state, however often it comes and goes

MESSAGES: dict[State, tuple[str, str]] = {
    "away": ("does not answer", "answers again"),
    "refusing": ("takes no more connections", "takes connections again"),
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
    """What one process knows about one connection's server. `name` is what its lines call it: no password.

    A change of each state is told at once, unless the last one was told less than QUIET seconds ago; one that lasts is
    told then.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.states: set[State] = set()  # empty for nearly every statement, so a look costs nothing
        self._episodes = {state: _Episode() for state in MESSAGES}

    @property
    def is_down(self) -> bool:
        """Whether the server gives no answer."""
        return "away" in self.states

    def failed(self, error: BaseException, state: State = "away") -> None:
        """Note that the server gave no answer, or one that tells its state."""
        now, episode = time.monotonic(), self._episodes[state]
        if state != "away":
            self.ended("away")
        if state not in self.states:
            self.states.add(state)
            episode.logged, episode.since = False, now
        if not episode.logged and now - episode.logged_at >= LOG_INTERVAL:
            episode.logged, episode.logged_at = True, now
            logger.warning("The database %s %s: %s.", self.name, MESSAGES[state][0], reason(error))

    def answered(self) -> None:
        """Note that a statement was executed."""
        self.ended("away", "exhausted")

    def connected(self) -> None:
        """Note that a connection was made."""
        self.ended("refusing")

    def written(self) -> None:
        """Note that a write was executed."""
        self.ended("read_only", "full")

    def ended(self, *states: State) -> None:
        """Note that the server is in none of these states any more."""
        for state in self.states.intersection(states):
            self.states.discard(state)
            episode = self._episodes[state]
            if episode.logged:
                seconds = time.monotonic() - episode.since
                logger.warning("The database %s %s, after %.1f s.", self.name, MESSAGES[state][1], seconds)


def reason(error: BaseException) -> str:
    """The first cause, in its own words: drivers and Tortoise wrap it in texts that no longer say it."""
    while not isinstance(error, DatabaseTLSError) and (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, DatabaseTLSError):
        return error.failure.cause
    if isinstance(error, TimeoutError | asyncio.CancelledError):
        return "no answer in time"
    text = str(error.args[-1] if error.args else error).strip().rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
