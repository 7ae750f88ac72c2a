"""An alert, as a hook receives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Alert", "AlertHook", "AlertKind", "AlertState"]

AlertKind = Literal["server", "worker", "timer", "disk", "cache", "job"]
AlertState = Literal["begun", "ended", "event"]


@dataclass(frozen=True)
class Alert:
    """A state that has begun or ended, or an event."""

    kind: AlertKind
    """`server`: a database or Redis is unavailable or cannot be written to. `worker`: a worker dies repeatedly.
    `timer`: a tick was missed. `disk`: the log cannot be written. `cache`: an entry differs from the database. `job`: a
    job failed permanently."""
    subject: str
    """The subject: the name of a connection, a timer, a cache model, a job or a file, or the number of a worker."""
    state: AlertState
    """Whether the state has begun or ended; `event` for something without an end."""
    text: str
    """The message, as in the log."""
    service: str
    """The name of the service, with the kind of its process: `shop_http`."""
    host: str
    """The name of the machine."""
    moment: datetime
    """When it happened, in UTC."""
    more: int = 0
    """The number of further events about the subject that were not sent since the last alert."""


AlertHook = Callable[[Alert], Awaitable[object]]
"""An async function that sends an alert somewhere. It has ten seconds; exceptions are logged."""
