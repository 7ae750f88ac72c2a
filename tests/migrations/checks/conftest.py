"""An empty database of each kind, and a project's folder as the working directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.db.opening import STORES, Store


@pytest.fixture(params=STORES[:3])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    kind = request.param
    if kind == "sqlite":
        return Store(kind, f"sqlite://{tmp_path / 'desk.sqlite3'}")
    return Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))
