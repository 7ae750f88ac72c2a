"""Fixtures for the tests that need an open database of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.db.fragile import fragile, fragile_servers
from tests.db.opening import STORES, Store

__all__ = ["fragile", "fragile_servers", "store"]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty database of each kind in turn."""
    kind = request.param
    if kind == "sqlite":
        return Store(kind, f"sqlite://{tmp_path / 'library.sqlite3'}")
    return Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))
