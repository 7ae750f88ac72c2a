"""Tortoise's MySQL engine on aiomysql. Tortoise itself takes asyncmy wherever that is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from sanicbase.errors import ConfigError

__all__ = ["client_class"]

CLIENT = "tortoise.backends.mysql.client"


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """A module that is None in sys.modules raises ImportError, on which Tortoise falls back on the other driver."""
    modules: dict[str, ModuleType | None] = dict(sys.modules)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(name)
        if (module := modules.get(name)) is not None:
            sys.modules[name] = module


with _hidden("asyncmy"):
    client = import_module(CLIENT)

if client.mysql.__name__ != "aiomysql":
    raise ConfigError(
        "Tortoise's MySQL backend was imported before sanicbase could choose aiomysql, and took asyncmy. "
        "Import it later, or set DB_DRIVER to asyncmy."
    )

client_class = client.MySQLClient
