"""Guides whose Python needs no more than a database and Redis run from the first line to the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.docs.context import ROWS


@pytest.mark.parametrize("guide", ROWS)
def test_a_guide_runs(guide: str, redis_url: str, tmp_path: Path) -> None:
    stores = [f"sqlite://{tmp_path / 'guide.sqlite3'}", redis_url, str(tmp_path / "logs")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.running", guide, *stores], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
