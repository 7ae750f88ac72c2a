"""Which reads must see the primary: those of whoever has just written, and those that ask for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tortoise.context import get_current_context

__all__ = ["forget_writes", "is_routed", "is_select", "may_use_replica", "note_write", "use_primary"]

SELECT = re.compile(r"[\s(]*SELECT\b", re.IGNORECASE)

_primary_only: ContextVar[bool] = ContextVar("primary_only", default=False)
_written: ContextVar[set[str] | None] = ContextVar("written", default=None)


@contextmanager
def use_primary() -> Iterator[None]:
    """Have every select in the block, and in tasks that are started in it, read from the primary.

    with use_primary():
        article = await Article.get_by_pk(7)
    """
    token = _primary_only.set(True)
    try:
        yield
    finally:
        _primary_only.reset(token)


def forget_writes() -> None:
    """Begin what reads its own writes: a request, a message of a WebSocket, a run. Nothing was written in it yet."""
    _written.set(set())


def note_write(connection: str) -> None:
    """From now on selects on this connection go to its primary.

    In every task of the request, for they share one set; where nothing was begun, in this task and those it starts.
    """
    written = _written.get()
    if written is None:
        _written.set({connection})
    else:
        written.add(connection)


def may_use_replica(connection: str) -> bool:
    """Whether a plain select on this connection may be answered by what the database was a moment ago."""
    return not _primary_only.get() and connection not in (_written.get() or ())


def is_select(statement: str) -> bool:
    """Whether a statement begins as one that only reads."""
    return SELECT.match(statement) is not None


def is_routed() -> bool:
    """Whether any connection has replicas: nothing is paid where none has."""
    context = get_current_context()
    return context is not None and bool(context.routers)
