"""Tortoise's MySQL engine on asyncmy, for `DB_DRIVER = "asyncmy"`."""

from __future__ import annotations

from typing import Any

from sanicbase.db.engine.mysql import PooledMySQLClient, PooledMySQLDriver, TLSConnection, in_utc
from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _

try:
    import asyncmy
    from asyncmy.connection import Connection
    from asyncmy.cursors import Cursor
except ImportError as exc:
    raise ConfigError(
        _("DB_DRIVER is asyncmy, which is not installed. Install sanicbase[asyncmy], or use aiomysql.")
    ) from exc

__all__ = ["client_class"]


class _Cursor(Cursor):
    """A cursor that writes datetimes in UTC."""

    def _escape_args(self, arguments: Any, connection: Any) -> Any:
        return super()._escape_args(in_utc(arguments), connection)  # type: ignore[misc]


class _TLSConnection(TLSConnection, Connection):
    flags = "_client_flag"


class _Driver(PooledMySQLDriver):
    async def open(self, options: dict[str, Any]) -> Any:
        options = {"cursor_cls": _Cursor, **options}
        if options["ssl"] is None:
            return await asyncmy.connect(**options)
        connection: Any = _TLSConnection(**options)  # type: ignore[no-untyped-call]
        connection.tls_required = self.tls_required
        await connection.connect()
        return connection

    def is_closed(self, connection: Any) -> bool:
        return bool(connection._stream_broken)


class client_class(PooledMySQLClient):  # noqa: N801  (Tortoise looks for an engine's client by this name)
    """MySQL and MariaDB on asyncmy."""

    driver_class = _Driver
