"""A process that may open too few files and connections says so in one sentence, with the limit and the remedy."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from sanicbase.process.descriptors import required_descriptors
from sanicbase.testing import ServiceProcess
from tests.preloaded import preloaded

Project = Any  # a class of the conftest, which cannot be imported

LIMITED = """
import os, resource, sys
limit, *words = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), int(limit)))
os.execv(sys.executable, [sys.executable, *words])
"""
# The same of a process that begins with everything imported.
LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0}))"
# Connections until there are no more, inside of what names the limit.
USED_UP = """
import socket
from sanicbase.process.descriptors import check_descriptor_limit
with check_descriptor_limit():
    kept = []
    while True:
        kept.append(socket.socket())
"""
REMEDY = "Raise the limit: `ulimit -n 4096` in the shell, or LimitNOFILE=4096 in the systemd unit."
SOON = 60.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")


def limited(project: Project, limit: int, name: str, *args: str, **env: str) -> ServiceProcess:
    """The process of a launch file, or of a command, that may have so many descriptors; not started yet."""
    launch = args or (str(project.directory / f"{name}.py"),)
    process: ServiceProcess = project.service(
        name, env=env, command=[sys.executable, "-c", LIMITED, str(limit), *launch]
    )
    return process


@pytest.mark.parametrize("embedded", [False, True], ids=["server", "embedded"])
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("name", ["http_xi_test", "ws_xi_test", "srv_xi_test"])
@pytest.mark.parametrize("limit", [12, 20])
def test_too_few_descriptors_are_named(
    project: Project, request: pytest.FixtureRequest, limit: int, name: str, workers: int, *, embedded: bool
) -> None:
    env = {"XI_TEST_WORKERS": str(workers)}
    if not embedded:
        env["XI_TEST_REDIS_URL"] = request.getfixturevalue("redis_url")
    needed = required_descriptors(0 if name.startswith("srv") else workers)
    if workers == 4 and not embedded and limit == 12:  # these import everything under the limit
        service = limited(project, limit, name, **env)
    else:
        launch = preloaded(str(project.directory / f"{name}.py"), before=LIMIT.format(limit))
        service = project.service(name, env=env, command=launch)
    with service as process:
        assert process.wait(SOON) == 1
        message = f"This process may have {limit} open files and connections, but needs at least {needed}. {REMEDY}"
        assert process.output() == f"{message}\n"


@pytest.mark.parametrize("workers", [1, 4])
def test_the_least_that_is_named_is_enough(project: Project, redis_url: str, workers: int) -> None:
    env = {"XI_TEST_WORKERS": str(workers), "XI_TEST_REDIS_URL": redis_url}
    with limited(project, required_descriptors(workers), "http_xi_test", **env) as process:
        process.wait_ready(path="/readyz")
        for _ in range(20):
            assert process.client.get("/xi_test/articles").status_code == 200
        assert process.terminate() == 0
        assert "Too many open files" not in process.output()


def test_exhausted_descriptors_are_reported() -> None:
    args = [sys.executable, "-c", LIMITED, "80", "-c", USED_UP]
    result = subprocess.run(args, capture_output=True, text=True, timeout=SOON, check=False)
    last = result.stderr.strip().splitlines()[-1]
    assert last.endswith(f"This process has reached its limit of 80 open files and connections. {REMEDY}")


def test_the_doctor_and_commands_say_so_too(project: Project, redis_url: str) -> None:
    env = {"XI_TEST_REDIS_URL": redis_url, "LANG": "C.UTF-8"}
    with limited(project, 40, "http_xi_test", "-m", "sanicbase", "doctor", "xi_test", **env) as process:
        assert process.wait(SOON) == 1
        match = re.search(r"machine\.descriptors: The limit of open files is 40, .*needs at least 67", process.output())
        assert match, process.output()
    (project.directory / "xi_test" / "script" / "nothing.py").write_text("async def main() -> None: ...\n")
    with limited(project, 40, "http_xi_test", "-m", "sanicbase", "run", "xi_test.script.nothing", **env) as process:
        assert process.wait(SOON) == 1
        assert REMEDY in process.output()
        assert "Traceback" not in process.output()
