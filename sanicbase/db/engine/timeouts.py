"""How long things may take on one database: taken out of its credentials, and kept."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from sanicbase.process.cancellation import uncancel

__all__ = ["GRACE", "TaskTimeout", "Timeouts"]

GRACE = 0.5  # seconds that a server has to end a statement by itself, before the client leaves
ACQUIRE, IDLE = 5.0, 300.0


class Timeouts(NamedTuple):
    """Seconds: of a `statement` (None sets no limit), to `acquire` a connection, a connection may be `idle`."""

    statement: float | None
    acquire: float
    idle: float
    client: float | None  # when the client gives up: a little after the server should have

    @classmethod
    def take(cls, credentials: dict[str, Any]) -> Timeouts:
        """Take `statement_timeout`, `acquire_timeout` and `idle_timeout` out of what a driver is given.

        They come as text from a URL's query; 0 sets no limit for statements.
        """
        statement = float(credentials.pop("statement_timeout", 0))
        acquire = float(credentials.pop("acquire_timeout", ACQUIRE))
        idle = float(credentials.pop("idle_timeout", IDLE))
        return cls(statement or None, acquire, idle, statement + GRACE if statement else None)


class TaskTimeout:
    """Cancels the current task after some seconds, unless it is ended before.

    `asyncio.timeout` without a coroutine on the way in and another on the way out: it is used for every statement.
    """

    __slots__ = ("_cancelling", "_expired", "_handle", "_task")

    def __init__(self, seconds: float | None) -> None:
        self._handle: asyncio.TimerHandle | None = None
        if seconds is None:
            return
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A database is used by tasks only.")
        self._task = task
        self._cancelling = task.cancelling()
        self._expired = False
        self._handle = asyncio.get_running_loop().call_later(seconds, self._expire)

    def end(self, error: BaseException | None) -> BaseException | None:
        """How it ended: a TimeoutError when the error is the limit's own cancellation, else the error itself."""
        if self._handle is None:
            return error
        self._handle.cancel()
        if not self._expired:
            return error
        # Somebody else may have cancelled the task as well, and is then to be obeyed.
        if not (uncancel(self._task, self._cancelling) and isinstance(error, asyncio.CancelledError)):
            return error
        timeout = TimeoutError()
        timeout.__cause__ = error
        return timeout

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()
