"""Tortoise's MySQL engine on asyncmy, for `DB_DRIVER = "asyncmy"`."""

from __future__ import annotations

from importlib import import_module

from tortoise.backends.mysql import client

from sanicbase.errors import ConfigError

__all__ = ["client_class"]


def _installed() -> bool:
    try:
        import_module("asyncmy")
    except ImportError:
        return False
    return True


if vars(client)["mysql"].__name__ != "asyncmy":
    raise ConfigError(
        "DB_DRIVER is asyncmy, but this process has opened MySQL with aiomysql before. Use one driver in a process."
        if _installed()
        else "DB_DRIVER is asyncmy, which is not installed. Install sanicbase[asyncmy], or use aiomysql."
    )

client_class = client.MySQLClient
