"""Fixtures for the tests that need an open database of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanicbase.db import routing
from tests.db.fragile import fragile, fragile_servers
from tests.db.opening import STORES, Store

__all__ = ["fragile", "fragile_servers", "no_scope", "store"]


@pytest.fixture(autouse=True)
def no_scope() -> None:
    """Start outside of a scope of read-your-writes: a request that a test makes without a loop begins one for good."""
    routing._pinned.set(None)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty database of each kind in turn."""
    kind = request.param
    if kind == "sqlite":
        return Store(kind, f"sqlite://{tmp_path / 'library.sqlite3'}")
    return Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))
