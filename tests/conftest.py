"""What all tests share: fresh databases on real servers, and the wheel."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["sanicbase.testing.plugin"]

ROOT = Path(__file__).parents[1]


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is imported by now stays, so no garbage collection looks it through.

    Where no test uses hypothesis, its plugin goes: it would import hypothesis at the end to sum up nothing.
    """
    gc.freeze()
    if "hypothesis" not in sys.modules:
        session.config.pluginmanager.unregister(name="hypothesispytest")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library as it is published; whatever else is needed is installed already."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=100)
    (file,) = folder.glob("sanicbase-*.whl")
    return file
