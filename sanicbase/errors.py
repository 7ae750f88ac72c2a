"""The exceptions of sanicbase. HTTP errors stay Sanic's own.

SanicBaseError
 ├── ConfigError          a setting is wrong (ends the process with its sentence, status 1)
 ├── ResourceError        something a service opens could not be opened, or does not answer
 ├── MigrationError       the database is not at the version of the models
 └── NotOpenError         used before the lifespan opened it, or after it closed it

Every message is a sentence that names the cause and the remedy.
"""

from __future__ import annotations

__all__ = ["ConfigError", "MigrationError", "NotOpenError", "ResourceError", "SanicBaseError"]


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
