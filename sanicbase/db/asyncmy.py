"""Tortoise's MySQL engine on asyncmy, for `DB_DRIVER = "asyncmy"`."""

from __future__ import annotations

from typing import Any, ClassVar

from sanicbase.db.mysql import PooledMySQLClient, PooledMySQLDriver
from sanicbase.errors import ConfigError

try:
    import asyncmy
except ImportError as exc:
    raise ConfigError(
        "DB_DRIVER is asyncmy, which is not installed. Install sanicbase[asyncmy], or use aiomysql."
    ) from exc

__all__ = ["client_class"]


class _Driver(PooledMySQLDriver):
    module: ClassVar[Any] = asyncmy

    def is_closed(self, connection: Any) -> bool:
        return bool(connection._stream_broken)


class client_class(PooledMySQLClient):  # noqa: N801  (Tortoise looks for an engine's client by this name)
    """MySQL and MariaDB on asyncmy."""

    driver_class = _Driver
