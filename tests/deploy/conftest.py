"""A project whose files are rendered by the command itself, and the programs that judge them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sanicbase.testing.binaries import find_binaries
from tests.app.conftest import Project, make_project, project

__all__ = ["Told", "make_project", "program", "project", "tell"]

Told = subprocess.CompletedProcess[str]


@pytest.fixture
def tell(project: Project) -> Callable[..., Told]:
    """`sanicGuider deploy …`, typed in the project's folder."""
    return lambda *words: run_deploy(project.directory, words)


def run_deploy(directory: Path, words: Sequence[str]) -> Told:
    command = [sys.executable, "-m", "sanicbase", "deploy", *words]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)


def program(name: str, package: str) -> str:
    """Where the program is; without it the test is skipped by its name, and fails where CI=true."""
    if found := find_binaries(name):
        return found[0]
    missing = f"No {name} to test with: install {package}."
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(missing)
    pytest.skip(missing)
