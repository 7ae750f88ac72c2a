"""How long things may take on one database, taken out of its credentials."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Limits"]

GRACE = 0.5  # seconds that a server has to end a statement by itself, before the client leaves
ACQUIRE, IDLE = 5.0, 300.0


class Limits(NamedTuple):
    """Seconds: of a `statement` (None sets no limit), to `acquire` a connection, a connection may be `idle`."""

    statement: float | None
    acquire: float
    idle: float

    @classmethod
    def take(cls, credentials: dict[str, Any]) -> Limits:
        """Take `statement_timeout`, `acquire_timeout` and `idle_timeout` out of what a driver is given.

        They come as text from a URL's query; 0 sets no limit for statements.
        """
        statement = float(credentials.pop("statement_timeout", 0))
        acquire = float(credentials.pop("acquire_timeout", ACQUIRE))
        return cls(statement or None, acquire, float(credentials.pop("idle_timeout", IDLE)))

    @property
    def client(self) -> float | None:
        """When the client gives up: a little after the server should have."""
        return None if self.statement is None else self.statement + GRACE
