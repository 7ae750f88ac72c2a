"""A project whose files are rendered by the command itself, and the programs that judge them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from sanicbase.cli import main
from sanicbase.testing.binaries import find_binaries
from tests.app.conftest import Project, make_project, project

__all__ = ["EMBEDDED", "Result", "deploy", "make_project", "program", "project"]

# The stores that a service in prod has to name.
EMBEDDED = (
    "XI_TEST_DB_URL=embedded://",
    "XI_TEST_REDIS_URL=embedded://",
    "XI_TEST_JWT_SECRET=8Zq0vX4mTn2LwRb7YdKcHs5JfGe3UaPi-test",
)

Result = subprocess.CompletedProcess[str]


@pytest.fixture
def deploy(project: Project) -> Callable[..., Result]:
    """`sanicGuider deploy …`, typed in the project's folder."""
    return lambda *args: run_deploy(project.directory, args)


def run_deploy(directory: Path, args: Sequence[str]) -> Result:
    """In this process, as if it had been started in that folder: only the service's settings are imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.syspath_prepend(directory)
        patch.setenv("LC_ALL", "C.UTF-8")
        for name in [name for name in sys.modules if name.partition(".")[0] == "xi_test"]:
            patch.delitem(sys.modules, name)
        earlier = set(sys.modules)
        result = CliRunner().invoke(main, ["deploy", *args])
        for name in set(sys.modules) - earlier:
            if name.partition(".")[0] == "xi_test":
                del sys.modules[name]
    assert result.exception is None or isinstance(result.exception, SystemExit), shlex.join(args)
    return Result(["sanicGuider", "deploy", *args], result.exit_code, result.stdout, result.stderr)


def program(name: str, package: str) -> str:
    """Where the program is; without it the test is skipped by its name, and fails where CI=true."""
    if binaries := find_binaries(name):
        return binaries[0]
    missing = f"No {name} to test with: install {package}."
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(missing)
    pytest.skip(missing)
