"""Whose line it is: the request and the user that a task works for."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["Context", "current_context", "set_log_context"]


class Context(NamedTuple):
    """The request's id and the user, each empty where there is none."""

    request_id: str = ""
    user: str = ""


# One variable for both: whoever logs a line pays for one look-up.
_NOBODY = Context()
_context: ContextVar[Context] = ContextVar("sanicbase_log_context", default=_NOBODY)


def set_log_context(*, request_id: str | None = None, user: str | None = None) -> None:
    """From here on, the lines of this task and of those it starts carry this request's id and this user.

    What is not given stays as it was. A connection's requests share one task, so each begins by setting both.
    """
    now = _context.get()
    _context.set(Context(now.request_id if request_id is None else request_id, now.user if user is None else user))


current_context = _context.get
"""The context of the running task."""
