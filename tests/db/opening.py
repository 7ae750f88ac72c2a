"""A database with models of a test's own, open in the test's process, on each kind that a service can use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple

import pytest
from tortoise import Tortoise

from sanicbase import Config
from sanicbase.db import Database

__all__ = ["STORES", "LibraryConfig", "Store", "library_config", "opened"]

STORES = [
    pytest.param("sqlite", marks=pytest.mark.xdist_group("embedded")),
    pytest.param("postgres", marks=pytest.mark.xdist_group("postgres")),
    pytest.param("aiomysql", marks=pytest.mark.xdist_group("mysql")),
    pytest.param("asyncmy", marks=pytest.mark.xdist_group("mysql")),
]


class Store(NamedTuple):
    """An empty database and what speaks to it: sqlite, postgres, aiomysql or asyncmy."""

    kind: str
    url: str

    @property
    def driver(self) -> Literal["aiomysql", "asyncmy"]:
        return "asyncmy" if self.kind == "asyncmy" else "aiomysql"


class LibraryConfig(Config):
    """A service without files: its models are modules of the tests."""

    SERVER_NAME = "library"

    MODULES: list[str] = []

    def tortoise(self) -> dict[str, Any]:
        settings = super().tortoise()
        settings["apps"][self.SERVER_NAME]["models"] += self.MODULES
        return settings


def library_config(store: Store, *modules: str, **settings: Any) -> LibraryConfig:
    """A service on this database, with the models of these modules (`"tests.db.library"`)."""
    return LibraryConfig(DB_URL=store.url, DB_DRIVER=store.driver, MODULES=list(modules), **settings)


@asynccontextmanager
async def opened(store: Store, *modules: str, **settings: Any) -> AsyncIterator[Database]:
    """The models of these modules (`"tests.db.library"`) with fresh tables, as a service has them open."""
    async with Database(library_config(store, *modules, **settings)) as database:
        await Tortoise.generate_schemas()
        yield database
