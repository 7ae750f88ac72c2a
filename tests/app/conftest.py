"""The example service as its users have it: in a project folder of its own, run as real processes."""

from __future__ import annotations

import re
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from sanicbase.valkey.embedded import EmbeddedValkey
from tests.preloaded import PreloadedService

ROOT = Path(__file__).parents[2]
CURL = re.compile(r"^curl .*\\\n.*$", re.MULTILINE)

# What the service lacks, for it fails at nothing and is never slow.
PROBE = """
import asyncio
import subprocess
from sanic import Blueprint, text
from sanicbase import create_app, serve
from xi_test.config import config
from xi_test.handler.record import access_records
from xi_test.url_main import http

probe = Blueprint("probe")

@probe.get("/boom")
async def boom(request):
    raise RuntimeError("geheim")

@probe.get("/environment")
async def environment(request):
    return text(subprocess.run(["env"], capture_output=True, text=True).stdout)

@probe.get("/slow")
async def slow(request):
    print("the slow request has begun", flush=True)
    await asyncio.sleep(float(request.args["seconds"][0]))
    return text("done")

app = create_app(config, http, probe, resources=(access_records,))

if __name__ == "__main__":
    serve(app)
"""


class Project:
    """A folder with the service's package and launch files, and what its processes leave in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.copytree(ROOT / "xi_test", directory / "xi_test", ignore=shutil.ignore_patterns("__pycache__"))
        for launch_file in ROOT.glob("*_xi_test.py"):
            shutil.copy(launch_file, directory)
        (directory / "http_probe.py").write_text(PROBE)

    def service(self, name: str = "http_xi_test", *, cold: bool = False, **options: Any) -> ServiceProcess:
        """The process of a launch file, not started yet; a `cold` one imports everything itself, as at its users'."""
        kind = ServiceProcess if cold else PreloadedService
        return kind(self.directory / f"{name}.py", cwd=self.directory, **options)

    @property
    def log(self) -> Path:
        return self.directory / "logs" / "xi_test" / "run.log"

    def valkeys(self) -> set[int]:
        """The numbers of the processes of this project's Valkey, its launcher's among them; zombies are gone."""
        socket = EmbeddedValkey(self.directory / ".sanicbase").url.removeprefix("unix://")
        listed = subprocess.run(["ps", "-axww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True)
        rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines() if socket in line]
        return {int(pid) for pid, state, _ in rows if state[0] != "Z"}

    def records(self, article_id: int) -> int:
        """How many readings of the article are in the embedded database."""
        with closing(sqlite3.connect(self.directory / ".sanicbase" / "xi_test.sqlite3")) as database:
            count: int = database.execute(
                "SELECT count(*) FROM xi_access_record WHERE article_id = ?", (article_id,)
            ).fetchone()[0]
        return count


class Curl:
    """The line to paste that a first start prints."""

    def __init__(self, output: str) -> None:
        match = CURL.search(output)
        assert match, output
        args = shlex.split(match[0].replace("\\\n", " "))
        self.method, self.url = args[args.index("-X") + 1], args[3]
        self.body = args[args.index("-d") + 1]
        self.headers = dict(after.split(": ", 1) for word, after in pairwise(args) if word == "-H")

    def send(self) -> httpx.Response:
        return httpx.request(
            self.method, self.url, headers=self.headers, content=self.body, trust_env=False, verify=NO_CERTIFICATES
        )


@pytest.fixture(scope="session")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    """Projects that outlive a test."""
    return lambda: Project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(make_project: Callable[[], Project]) -> Project:
    """A new project."""
    return make_project()


@pytest.fixture(scope="session")
def read_curl() -> Callable[[ServiceProcess], Curl]:
    """The curl line of a first start, once one of the workers has printed it; another one may serve already."""

    def read(process: ServiceProcess) -> Curl:
        wait_until(lambda: CURL.search(process.output()), what="the line to paste")
        return Curl(process.output())

    return read
