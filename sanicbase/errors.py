"""The exceptions of sanicbase. HTTP errors stay Sanic's own.

SanicBaseError
 ├── ConfigError          a setting is wrong (ends the process with its message, status 1)
 ├── ResourceError        a resource could not be opened, or does not answer (HTTP 503)
 ├── MigrationError       the database does not match the migrations or the models
 ├── NotOpenError         a resource was used outside the lifespan
 ├── ObjectNotFound       the object storage has no such object (HTTP 404)
 ├── LockTaken            another holder had the lock until `wait` expired (HTTP 409)
 ├── LockLost             a lock was lost while it was held (HTTP 503)
 ├── InvalidInput         input from outside is invalid
 │    ├── InvalidQuery    a filter, an order, a page or a cursor (HTTP 400)
 │    └── InvalidValue    a value that does not fit its column (HTTP 422)
 ├── CorruptValue         a value in Redis was not written by `pack`
 ├── CodedError           an error of a service's own enumeration, see sanicbase/codes
 └── DatabaseError        see sanicbase/db/errors.py

Every message names the cause and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = [
    "ConfigError",
    "CorruptValue",
    "InvalidInput",
    "InvalidQuery",
    "InvalidValue",
    "LockLost",
    "LockTaken",
    "MigrationError",
    "NotOpenError",
    "ObjectNotFound",
    "ResourceError",
    "SanicBaseError",
]


class SanicBaseError(Exception):
    """The base class of all exceptions of sanicbase."""


class ConfigError(SanicBaseError, SystemExit):
    """A setting is wrong.

    Settings are read when a service is imported, where a traceback would hide the message. So this is also a
    `SystemExit`: uncaught, it prints its message and ends the process with status 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message


class ResourceError(SanicBaseError):
    """A database, a Redis or another resource could not be opened, or does not answer."""


class ObjectNotFound(SanicBaseError, FileNotFoundError):
    """The object storage has no object with that key."""


class MigrationError(SanicBaseError):
    """The database does not match the migrations or the models, and nothing was changed."""


class NotOpenError(SanicBaseError):
    """A resource was used before the lifespan opened it, or after it closed it."""


class CorruptValue(SanicBaseError):
    """A value was not written by `pack`: it is damaged, of another program, or too large when unpacked."""


class LockTaken(SanicBaseError):
    """Another holder had the lock, and did not release it before `wait` expired."""


class LockLost(SanicBaseError):
    """A lock was lost while it was held: another holder may have run at the same time."""


class InvalidInput(SanicBaseError):
    """Input from outside is invalid; nothing was written.

    `path` names the field (`"slug"`, `"rows.3.slug"`), `code` identifies the kind of error for programs (`"too_long"`),
    the message is for people, and `context` contains the values in it. `errors` contains this error and the `others`
    that were found with it.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str,
        code: str,
        context: Mapping[str, object] | None = None,
        others: Sequence[InvalidInput] = (),
    ) -> None:
        super().__init__(message)
        self.path = path
        self.code = code
        self.context = dict(context or {})
        self.errors: tuple[InvalidInput, ...] = (self, *others)


class InvalidQuery(InvalidInput):
    """A filter, an order, a page or a cursor that is invalid or not allowed. HTTP answers 400."""


class InvalidValue(InvalidInput):
    """A value that does not fit its column. HTTP answers 422."""
