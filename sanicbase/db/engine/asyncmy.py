"""Tortoise's MySQL engine on asyncmy, for `DB_DRIVER = "asyncmy"`."""

from __future__ import annotations

from typing import Any, ClassVar

from sanicbase.db.engine.mysql import PooledMySQLClient, PooledMySQLDriver, in_utc
from sanicbase.errors import ConfigError

try:
    import asyncmy
    from asyncmy.cursors import Cursor
except ImportError as exc:
    raise ConfigError(
        "DB_DRIVER is asyncmy, which is not installed. Install sanicbase[asyncmy], or use aiomysql."
    ) from exc

__all__ = ["client_class"]


class _Cursor(Cursor):
    """A cursor that writes moments in UTC."""

    def _escape_args(self, arguments: Any, connection: Any) -> Any:
        return super()._escape_args(in_utc(arguments), connection)  # type: ignore[misc]


class _Driver(PooledMySQLDriver):
    module: ClassVar[Any] = asyncmy

    async def connect(self) -> Any:
        self._options.setdefault("cursor_cls", _Cursor)
        return await super().connect()

    def is_closed(self, connection: Any) -> bool:
        return bool(connection._stream_broken)


class client_class(PooledMySQLClient):  # noqa: N801  (Tortoise looks for an engine's client by this name)
    """MySQL and MariaDB on asyncmy."""

    driver_class = _Driver
