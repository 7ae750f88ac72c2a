"""The timeouts of one database, taken from its credentials."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from sanicbase.process.cancellation import uncancel

__all__ = ["GRACE", "TaskTimeout", "Timeouts"]

GRACE = 0.5  # seconds; the client gives up that much later than the server should
ACQUIRE, IDLE = 5.0, 300.0


class Timeouts(NamedTuple):
    """Seconds for a `statement` (None sets no limit), to `acquire` a connection, and until an `idle` one is closed."""

    statement: float | None
    acquire: float
    idle: float
    client: float | None  # for the client, a little longer than for the server

    @classmethod
    def take(cls, credentials: dict[str, Any]) -> Timeouts:
        """Remove `statement_timeout`, `acquire_timeout` and `idle_timeout` from the driver's arguments.

        The query of a URL has them as text; 0 sets no limit for statements.
        """
        statement = float(credentials.pop("statement_timeout", 0))
        acquire = float(credentials.pop("acquire_timeout", ACQUIRE))
        idle = float(credentials.pop("idle_timeout", IDLE))
        return cls(statement or None, acquire, idle, statement + GRACE if statement else None)


class TaskTimeout:
    """Cancels the current task after `seconds`, unless `end` is called before.

    Like `asyncio.timeout`, without its two coroutines: it is used for every statement.
    """

    __slots__ = ("_cancelling", "_expired", "_handle", "_task")

    def __init__(self, seconds: float | None) -> None:
        self._handle: asyncio.TimerHandle | None = None
        if seconds is None:
            return
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A database can only be used in a task.")
        self._task = task
        self._cancelling = task.cancelling()
        self._expired = False
        self._handle = asyncio.get_running_loop().call_later(seconds, self._expire)

    def end(self, error: BaseException | None) -> BaseException | None:
        """End it; a TimeoutError in place of its own cancellation, else the error itself."""
        if self._handle is None:
            return error
        self._handle.cancel()
        if not self._expired:
            return error
        # Another cancellation of the task takes precedence.
        if not (uncancel(self._task, self._cancelling) and isinstance(error, asyncio.CancelledError)):
            return error
        timeout = TimeoutError()
        timeout.__cause__ = error
        return timeout

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()
