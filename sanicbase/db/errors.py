"""The errors of databases, the same for every driver.

SanicBaseError
 ├── DatabaseError             a statement failed; the drivers' own exception is its `__cause__`
 │    ├── DatabaseUnavailable  the server is unreachable, read-only, full or refuses connections (HTTP 503)
 │    │    └── DatabaseTLSError the server cannot be reached with the requested TLS (HTTP 503)
 │    ├── DatabaseTimeout      a statement, or the wait for a connection, timed out (HTTP 503)
 │    ├── IntegrityError       the write violates a constraint (HTTP 409)
 │    ├── SerializationError   a conflict with another transaction: retry the whole transaction (HTTP 503)
 │    ├── DeadlockError        two transactions waited for each other: retry the whole transaction (HTTP 503)
 │    ├── StaleVersionError    the row was changed since it was read (HTTP 409)
 │    │    └── StaleTokenError a later holder of the lock has written the row (HTTP 409)
 │    └── NotFoundError        the row does not exist (HTTP 404)
 └── RepeatedStatements        a request repeats a statement too often, where DB_REPEATED_STATEMENTS_FAIL is on

Each is one of Tortoise's exceptions as well, so `except tortoise.exceptions.IntegrityError` catches it.
"""

from __future__ import annotations

from typing import Literal

from tortoise import exceptions

from sanicbase.config.tls import TLSFailure
from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _

__all__ = [
    "DatabaseError",
    "DatabaseTLSError",
    "DatabaseTimeout",
    "DatabaseUnavailable",
    "DeadlockError",
    "IntegrityError",
    "NotFoundError",
    "RepeatedStatements",
    "SerializationError",
    "StaleTokenError",
    "StaleVersionError",
    "State",
]

State = Literal["away", "refusing", "read_only", "full", "exhausted"]
"""Why a database is unavailable: it does not answer, refuses connections, is read-only, has no disk space left, or is
out of memory or another resource."""


class DatabaseError(SanicBaseError, exceptions.OperationalError):
    """A statement failed, for none of the reasons below."""


class DatabaseUnavailable(DatabaseError):
    """The server cannot be reached, lost the connection before it answered, or cannot execute statements at present.

    `state` says which. In the state `away` the write may have been executed or not; in every other state the server has
    refused the statement. A failed COMMIT may have been executed in any state.
    """

    def __init__(self, message: object, *, state: State = "away") -> None:
        super().__init__(message)
        self.state: State = state


class DatabaseTLSError(DatabaseUnavailable):
    """The server cannot be reached with the requested TLS: it has none, or its certificate is not valid.

    Nothing was sent to it, the password included. `failure` has the cause and the remedy.
    """

    def __init__(self, failure: TLSFailure) -> None:
        remedy = failure.remedy.format(setting=_("the URL of the database"))
        super().__init__(_("{cause}. {remedy}.", cause=failure.cause, remedy=remedy))
        self.failure = failure


class DatabaseTimeout(DatabaseError):
    """A statement, or the wait for a connection, exceeded its timeout."""


class IntegrityError(DatabaseError, exceptions.IntegrityError):
    """The write violates a constraint.

    `constraint` is its name, empty where the database does not report it; `columns` are its columns, as far as they are
    known: `("slug",)`.
    """

    def __init__(self, message: object, *, constraint: str = "", columns: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.constraint = constraint
        self.columns = columns


class SerializationError(DatabaseError):
    """A conflict with another transaction. Retry the whole transaction."""


class DeadlockError(DatabaseError):
    """Two transactions waited for each other, and the database aborted this one. Retry the whole transaction."""


class StaleVersionError(DatabaseError):
    """The row was changed or deleted since it was read; nothing was written.

    `version` is its current version, where it is known.
    """

    def __init__(self, message: object, *, version: int | None = None) -> None:
        super().__init__(message)
        self.version = version


class StaleTokenError(StaleVersionError):
    """The row was written with a higher fencing token, by a later holder of the lock; nothing was written."""


class NotFoundError(DatabaseError, exceptions.DoesNotExist):
    """The row does not exist."""


class RepeatedStatements(SanicBaseError):
    """A request executes the same statement once for each row of another one (N+1), instead of once for all."""
