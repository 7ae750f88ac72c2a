"""Whether a database server answers: one line in the log when it stops, one when it is back."""

from __future__ import annotations

import asyncio
import logging
import time

from sanicbase.db.errors import DatabaseTLSError

__all__ = ["Outage", "reason"]

logger = logging.getLogger("sanicbase.db")

QUIET = 10.0  # seconds without another line about the same server, however often it comes and goes


class Outage:
    """What one process knows about one connection's server. `name` is what its lines call it: no password.

    A change is told at once, unless the last outage was told less than QUIET seconds ago; one that lasts is told
    then.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_down = False  # whoever had an answer asks for this first, which costs nothing
        self._since = 0.0
        self._told_at = float("-inf")
        self._told = False

    def failed(self, error: BaseException) -> None:
        """Note that the server gave no answer."""
        now = time.monotonic()
        if not self.is_down:
            self.is_down, self._told, self._since = True, False, now
        if not self._told and now - self._told_at >= QUIET:
            self._told, self._told_at = True, now
            logger.warning("The database %s does not answer: %s.", self.name, reason(error))

    def ended(self) -> None:
        """Note that the server answers again, if only with an error."""
        self.is_down = False
        if self._told:
            logger.warning("The database %s answers again, after %.1f s.", self.name, time.monotonic() - self._since)


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
