"""The log context: the request and the user that a task works for."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["Context", "current_context", "set_log_context"]


class Context(NamedTuple):
    """The request's id and the user, each empty when there is none."""

    request_id: str = ""
    user: str = ""


# One variable for both, so that each line costs one look-up.
_EMPTY = Context()
_context: ContextVar[Context] = ContextVar("sanicbase_log_context", default=_EMPTY)


def set_log_context(*, request_id: str | None = None, user: str | None = None) -> None:
    """Set the request's id and the user for the lines of this task and of the tasks that it starts.

    An argument that is not given leaves its value unchanged. All requests of a connection share one task, so each
    request sets both at its start.
    """
    if request_id is not None and user is not None:
        _context.set(Context(request_id, user))
        return
    current = _context.get()
    _context.set(
        Context(current.request_id if request_id is None else request_id, current.user if user is None else user)
    )


current_context = _context.get
"""The context of the running task."""
