"""Guides whose Python needs no more than a database and Redis run from the first line to the last."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.docs.context import ROWS
from tests.preloaded import preloaded
from tests.rc import kinds


@pytest.fixture
def redis_connections(guide: str, redis_url: str) -> Iterator[dict[str, str]]:
    """The further Redis servers that a guide names."""
    if guide != "redis":
        yield {}
        return
    with kinds.single_node_cluster() as cluster:
        yield {"locks": redis_url, "wide": cluster}


@pytest.mark.parametrize("guide", ROWS)
def test_a_guide_runs(guide: str, redis_url: str, redis_connections: dict[str, str], tmp_path: Path) -> None:
    settings = {
        "DB_URL": f"sqlite://{tmp_path / 'guide.sqlite3'}",
        "REDIS_URL": redis_url,
        "REDIS_CONNECTIONS": redis_connections,
        "LOG_DIR": str(tmp_path / "logs"),
    }
    result = subprocess.run(
        preloaded("-m", "tests.docs.running", guide, json.dumps(settings)),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
