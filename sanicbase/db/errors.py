"""What goes wrong with a database, the same for every driver.

SanicBaseError
 └── DatabaseError             a statement failed; the drivers' own exception is its `__cause__`
      ├── DatabaseUnavailable  the server is away, read-only, full or refuses connections (HTTP 503)
      │    └── DatabaseTLSError the server can be reached, though not with the TLS that was asked for (HTTP 503)
      ├── DatabaseTimeout      a statement, or the wait for a connection, took too long (HTTP 503)
      ├── IntegrityError       a constraint refused the write (HTTP 409)
      ├── SerializationError   another transaction was in the way: try the whole transaction again (HTTP 503)
      ├── DeadlockError        two transactions waited for each other: try the whole transaction again (HTTP 503)
      ├── StaleVersionError    somebody else has changed the row since it was read (HTTP 409)
      │    └── StaleTokenError a later holder of a lock has written the row (HTTP 409)
      └── NotFoundError        there is no such row (HTTP 404)

Each is one of Tortoise's exceptions as well, so that `except tortoise.exceptions.IntegrityError` goes on to work.
"""

from __future__ import annotations

from typing import Literal

from tortoise import exceptions

from sanicbase.config.tls import TLSFailure
from sanicbase.errors import SanicBaseError

__all__ = [
    "DatabaseError",
    "DatabaseTLSError",
    "DatabaseTimeout",
    "DatabaseUnavailable",
    "DeadlockError",
    "IntegrityError",
    "NotFoundError",
    "SerializationError",
    "StaleTokenError",
    "StaleVersionError",
    "State",
]

State = Literal["away", "refusing", "read_only", "full", "exhausted"]
"""Why a database is unavailable: it gives no answer, or refuses new connections; it takes no writes, or has no space
left; it is out of memory or another resource."""


class DatabaseError(SanicBaseError, exceptions.OperationalError):
    """A statement failed, and none of the names below fits better."""


class DatabaseUnavailable(DatabaseError):
    """The server cannot be reached, or went away before it answered, or cannot do its work at present.

    `state` says which. In the state `away` a write may have happened or not; in every other one the server has refused
    the statement, and the write did not happen. A COMMIT that fails may have happened in any state.
    """

    def __init__(self, message: object, *, state: State = "away") -> None:
        super().__init__(message)
        self.state: State = state


class DatabaseTLSError(DatabaseUnavailable):
    """The server cannot be reached with the TLS that was asked for: it has none, or its certificate is not accepted.

    Nothing was sent to it, the password included. `failure` says why, and what to do.
    """

    def __init__(self, failure: TLSFailure) -> None:
        super().__init__(f"{failure.cause}. {failure.remedy.format(setting='the URL of the database')}.")
        self.failure = failure


class DatabaseTimeout(DatabaseError):
    """A statement, or the wait for a connection, took longer than the settings allow."""


class IntegrityError(DatabaseError, exceptions.IntegrityError):
    """A constraint refused the write.

    `constraint` is its name where the database tells it, else empty; `columns` are the columns it is about, as far
    as they are known: `("slug",)`.
    """

    def __init__(self, message: object, *, constraint: str = "", columns: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.constraint = constraint
        self.columns = columns


class SerializationError(DatabaseError):
    """Another transaction was in the way. The whole transaction can be tried again."""


class DeadlockError(DatabaseError):
    """Two transactions waited for each other, and the database ended this one. It can be tried again as a whole."""


class StaleVersionError(DatabaseError):
    """Somebody else has changed or deleted the row since it was read; nothing was written."""


class StaleTokenError(StaleVersionError):
    """The row was written with a higher fencing token, so by a later holder of the lock; nothing was written."""


class NotFoundError(DatabaseError, exceptions.DoesNotExist):
    """There is no such row."""
