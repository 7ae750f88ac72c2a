"""Tortoise's MySQL engine on aiomysql, whichever drivers are installed."""

from __future__ import annotations

from typing import Any

import aiomysql  # type: ignore[import-untyped]

from sanicbase.db.engine.mysql import PooledMySQLClient, PooledMySQLDriver, TLSConnection, in_utc

__all__ = ["client_class"]


class _Cursor(aiomysql.Cursor):  # type: ignore[misc]
    """A cursor that writes datetimes in UTC and bytes as hexadecimal digits, and does not fetch warnings.

    aiomysql's own encoding of bytes was removed from PyMySQL in 1.2.
    """

    def _escape_args(self, arguments: Any, connection: Any) -> Any:
        if isinstance(arguments, list | tuple):
            return tuple(_escaped(value, connection) for value in in_utc(arguments))
        return super()._escape_args(arguments, connection)

    async def _show_warnings(self, connection: Any) -> None:
        """Nothing: strict mode raises errors instead."""


def _escaped(value: Any, connection: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"_binary X'{value.hex()}'"
    return connection.escape(value)


class _TLSConnection(TLSConnection, aiomysql.Connection):  # type: ignore[misc]
    flags = "client_flag"


class _Driver(PooledMySQLDriver):
    async def open(self, options: dict[str, Any]) -> Any:
        options = {"cursorclass": _Cursor, **options}
        if options["ssl"] is None:
            return await aiomysql.connect(**options)
        connection = _TLSConnection(**options)
        connection.tls_required = self.tls_required
        await connection._connect()
        return connection

    def is_closed(self, connection: Any) -> bool:
        if connection.closed:
            return True
        reader = connection._reader
        return bool(reader.eof_received or reader.at_eof() or reader.exception())


class client_class(PooledMySQLClient):  # noqa: N801  (Tortoise looks for an engine's client by this name)
    """MySQL and MariaDB on aiomysql."""

    driver_class = _Driver
