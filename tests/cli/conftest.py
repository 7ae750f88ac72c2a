"""A folder to make services in, and the command as somebody types it there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sanicbase.cli.codegen.generators import plan_component
from sanicbase.cli.codegen.target import TargetService
from sanicbase.cli.project import Project
from sanicbase.cli.scaffold.answers import complete
from sanicbase.cli.scaffold.service import plan_service
from sanicbase.cli.scaffold.writer import write
from tests.preloaded import preloaded

ROOT = Path(__file__).parents[2]
SILENT = {"AERICH_NO_TORTOISE_V1_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}

# Modules are imported already, so they are not rewritten; no project uses the other plugins of this environment.
PLUGINS = ("cacheprovider", "schemathesis", "hypothesispytest", "valkey")
WITHOUT = ("--assert=plain", *(word for name in PLUGINS for word in ("-p", f"no:{name}")))

INIT_DB = """
import asyncio
from aerich import Command
from {name}.config import migrate_db

async def main():
    async with Command(migrate_db, app="{name}") as command:
        await command.init_db(safe=True)

asyncio.run(main())
"""


class Folder:
    """A project's folder, and its author at the terminal."""

    def __init__(self, path: Path, types: Path | None = None) -> None:
        self.path = path
        self.types = types
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        home = os.environ.get("HOME", "/tmp")
        self.env = {"PATH": programs, "HOME": home, "LANG": "C.UTF-8", **SILENT}

    def run(self, *args: str, env: Mapping[str, str] | None = None, timeout: float = 60) -> str:
        """What a command prints; it must succeed."""
        result = self.tried(*args, env=env, timeout=timeout)
        assert result.returncode == 0, f"{args} ended with {result.returncode}:\n{result.stdout}"
        return result.stdout

    def tried(
        self, *args: str, env: Mapping[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """How a command ends."""
        return subprocess.run(
            args,
            cwd=self.path,
            env=self.env | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def guider(self, *args: str, **options: str) -> str:
        """What `sanicGuider …` prints; it must succeed."""
        return self.run(*preloaded("-m", "sanicbase", *args), env=options)

    def pytest(self, *args: str, env: Mapping[str, str] | None = None, timeout: float = 120) -> str:
        """What the project's tests print; they must pass. Servers that were given to these tests are given to those."""
        environment = {key: value for key, value in os.environ.items() if key.startswith(("SANICBASE_TEST", "CI"))}
        return self.run(
            *preloaded("-m", "pytest", "-q", *WITHOUT, *args), env={**environment, **(env or {})}, timeout=timeout
        )

    def mypy(self) -> str:
        """What `mypy` prints; it must succeed. What it has found out about packages is kept for the next project."""
        return self.run("mypy", "--cache-dir", str(self.types or self.path / ".mypy_cache"), timeout=300)

    def refused(self, *args: str, **options: str) -> str:
        """What `sanicGuider …` prints; it must not succeed."""
        result = self.tried(*preloaded("-m", "sanicbase", *args), env=options)
        assert result.returncode != 0, result.stdout
        assert "Traceback" not in result.stdout
        return result.stdout

    def make(self, name: str, **answers: object) -> None:
        """What `sanicGuider new` does, without a process for it."""
        project = Project(self.path)
        write(plan_service(complete({"language": "en", **answers, "name": name}, project), project), project)

    def add(self, kind: str, name: str, service: str, *, text_ids: bool = False) -> None:
        """What `sanicGuider add` does, without a process for it."""
        project = Project(self.path)
        entry = project.service(service)
        assert entry is not None
        write(plan_component(kind, name, TargetService(project, entry), text_ids=text_ids), project)

    def init_db(self, service: str, env: Mapping[str, str] | None = None) -> None:
        """What `aerich init-db` does, whichever service `aerich init` has named."""
        self.run(*preloaded("-c", INIT_DB.format(name=service)), env=env)

    def files(self) -> dict[str, str]:
        """Every file that is no cache, by its path."""
        return {
            str(file.relative_to(self.path)): file.read_text(encoding="utf-8")
            for file in sorted(self.path.rglob("*"))
            if file.is_file() and "__pycache__" not in file.parts and ".mypy_cache" not in file.parts
        }


@pytest.fixture(scope="session")
def types() -> Path:
    """mypy's cache of all projects, which the next run of the tests finds again, as that of the pages in tests/docs."""
    return ROOT / ".mypy_cache" / "projects"


@pytest.fixture
def folder(tmp_path: Path, types: Path) -> Folder:
    """An empty folder."""
    path = tmp_path / "project"
    path.mkdir()
    return Folder(path, types)
