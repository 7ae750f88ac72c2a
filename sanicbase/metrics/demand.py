"""Counting on demand: requests, statements and samples cost time, so they are counted while somebody wants to see them.

That is always where metrics are served. Otherwise it is while somebody watches the service (sanicbase.top). A process
reads the demand from its shared values once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.shared_values import SharedValues

__all__ = ["follow_demand", "on_demand"]

_parts: list[tuple[Callable[[], None], Callable[[], None]]] = []
_is_demanded = False


@contextmanager
def on_demand(start: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    """Inside the block, call `start` when this process begins to count everything, and `stop` when it ends to. Neither
    may fail."""
    part = (start, stop)
    _parts.append(part)
    if _is_demanded:
        start()
    try:
        yield
    finally:
        _parts.remove(part)
        if _is_demanded:
            stop()


def follow_demand(shared: SharedValues) -> bool:
    """Start or stop to count everything, as these values demand, and return whether this process now does."""
    global _is_demanded
    demanded = shared.is_demanded
    if demanded != _is_demanded:
        _is_demanded = demanded
        if demanded:
            count_into(shared, on_demand=True)
        for start, stop in _parts:
            (start if demanded else stop)()
        shared.is_complete = demanded
    return demanded
