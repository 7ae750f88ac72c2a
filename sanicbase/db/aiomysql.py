"""Tortoise's MySQL engine on aiomysql, whatever else is installed."""

from __future__ import annotations

from typing import Any

import aiomysql  # type: ignore[import-untyped]

from sanicbase.db.mysql import PooledMySQLClient, PooledMySQLDriver

__all__ = ["client_class"]


class _Driver(PooledMySQLDriver):
    module = aiomysql

    def is_closed(self, connection: Any) -> bool:
        if connection.closed:
            return True
        reader = connection._reader
        return bool(reader.eof_received or reader.at_eof() or reader.exception())


class client_class(PooledMySQLClient):  # noqa: N801  (Tortoise looks for an engine's client by this name)
    """MySQL and MariaDB on aiomysql."""

    driver_class = _Driver
