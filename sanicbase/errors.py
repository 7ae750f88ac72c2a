"""The exceptions of sanicbase. HTTP errors stay Sanic's own.

SanicBaseError
 ├── ConfigError          a setting is wrong (ends the process with its sentence, status 1)
 ├── ResourceError        something a service opens could not be opened, or does not answer (HTTP 503)
 ├── MigrationError       the database is not at the version of the models
 ├── NotOpenError         used before the lifespan opened it, or after it closed it
 ├── LockTaken            somebody else holds the lock, and the caller would not wait longer (HTTP 409)
 ├── LockLost             a lock was lost while it was held (HTTP 503)
 ├── InvalidInput         what somebody outside sent cannot be taken
 │    ├── InvalidQuery    a filter, an order, a page or a cursor (HTTP 400)
 │    └── InvalidValue    a value that does not fit its column (HTTP 422)
 ├── CorruptValue         what was read from Redis is not what `pack` makes
 ├── CodedError           what a service's enumeration of errors names, see sanicbase/codes
 └── DatabaseError        see sanicbase/db/errors.py

Every message is a sentence that names the cause and the remedy.
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
    "ResourceError",
    "SanicBaseError",
]


class SanicBaseError(Exception):
    """The root: `except SanicBaseError` catches whatever sanicbase itself raises."""


class ConfigError(SanicBaseError, SystemExit):
    """A setting is wrong.

    Settings are read when a service is imported, where a traceback would hide the sentence. So this is also a
    `SystemExit`: uncaught, it prints its sentence and ends the process with status 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message


class ResourceError(SanicBaseError):
    """A database, a Redis or another resource could not be opened, or does not answer."""


class MigrationError(SanicBaseError):
    """The database is not at the version of the models, and nothing was changed."""


class NotOpenError(SanicBaseError):
    """A resource was used before the lifespan opened it, or after it was closed."""


class CorruptValue(SanicBaseError):
    """What was read is not what `pack` makes: damaged, of somebody else, or too large when it is unpacked."""


class LockTaken(SanicBaseError):
    """Somebody else holds the lock, and it was not let go within the time that the caller would wait."""


class LockLost(SanicBaseError):
    """A lock was lost while it was held: what was done under it may not have been done alone."""


class InvalidInput(SanicBaseError):
    """What somebody outside sent cannot be taken; nothing was written.

    `path` names the field (`"slug"`, `"rows.3.slug"`), `code` the kind of mistake for programs (`"too_long"`), the
    message is for people, and `context` has the values in it. `mistakes` are this one and the `others` that were found
    with it.
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
        self.mistakes: tuple[InvalidInput, ...] = (self, *others)


class InvalidQuery(InvalidInput):
    """A filter, an order, a page or a cursor that is not allowed or not understood. HTTP answers 400."""


class InvalidValue(InvalidInput):
    """A value that does not fit its column. HTTP answers 422."""
