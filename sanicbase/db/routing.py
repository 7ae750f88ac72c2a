"""Read-your-writes routing: which selects must go to the primary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tortoise.context import get_current_context

from sanicbase.db.engine.watching import count_statements_anew

__all__ = ["has_replicas", "is_select", "may_use_replica", "pin_to_primary", "start_scope", "use_primary"]

SELECT = re.compile(r"(?:EXPLAIN (?:\(FORMAT JSON\) |EXTENDED )?)?[\s(]*SELECT\b", re.IGNORECASE)

_primary_only: ContextVar[bool] = ContextVar("primary_only", default=False)
_pinned: ContextVar[set[str] | None] = ContextVar("written", default=None)


@contextmanager
def use_primary() -> Iterator[None]:
    """Send every select in the block, and in tasks started in it, to the primary.

    with use_primary():
        article = await Article.get_by_pk(7)
    """
    token = _primary_only.set(True)
    try:
        yield
    finally:
        _primary_only.reset(token)


def start_scope() -> None:
    """Start a new scope of read-your-writes: a request, a WebSocket message, a job run. Its statements are counted anew
    as well."""
    _pinned.set(set())
    count_statements_anew()


def pin_to_primary(connection: str) -> None:
    """Send selects on this connection to its primary from now on.

    This holds for all tasks of the scope, or without one for this task and those that it starts.
    """
    pinned = _pinned.get()
    if pinned is None:
        _pinned.set({connection})
    else:
        pinned.add(connection)


def may_use_replica(connection: str) -> bool:
    """Whether a select on this connection may read slightly stale data."""
    return not _primary_only.get() and connection not in (_pinned.get() or ())


def is_select(statement: str) -> bool:
    """Whether the statement is a SELECT, or the EXPLAIN of one that does not execute it."""
    return SELECT.match(statement) is not None


def has_replicas() -> bool:
    """Whether any connection has replicas."""
    context = get_current_context()
    return context is not None and bool(context.routers)
