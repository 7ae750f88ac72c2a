"""The log context: the request, the user and the trace that a task works for."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["Context", "current_context", "set_log_context", "start_log_context"]


class Context(NamedTuple):
    """The request's id, the user, and the ids of the trace and the span, each empty when there is none."""

    request_id: str = ""
    user: str = ""
    trace_id: str = ""
    span_id: str = ""


# One variable for all, so that each line costs one look-up.
_EMPTY = Context()
_context: ContextVar[Context] = ContextVar("sanicbase_log_context", default=_EMPTY)


def set_log_context(
    *,
    request_id: str | None = None,
    user: str | None = None,
    trace_id: str | None = None,
    span_id: str | None = None,
) -> None:
    """Set the request's id, the user, and the ids of the trace and the span for the lines of this task and of the tasks
    that it starts.

    An argument that is not given leaves its value unchanged.
    """
    current = _context.get()
    _context.set(
        Context(
            current.request_id if request_id is None else request_id,
            current.user if user is None else user,
            current.trace_id if trace_id is None else trace_id,
            current.span_id if span_id is None else span_id,
        )
    )


def start_log_context(request_id: str, trace_id: str) -> None:
    """Begin the context of a request, of which the user is not known yet. All requests of a connection share one task,
    so each of them replaces the context of the last one."""
    # Without the function that names its arguments.
    _context.set(tuple.__new__(Context, (request_id, "", trace_id, "")))


current_context = _context.get
"""The context of the running task."""
