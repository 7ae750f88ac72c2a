"""supervisor's file, under a real supervisord."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from sanicbase.testing import free_port, wait_until
from sanicbase.testing.private_server import PrivateServer, private_server
from sanicbase.testing.service import NO_CERTIFICATES
from tests.app.conftest import Project
from tests.app.test_supervision import Load
from tests.deploy.conftest import EMBEDDED, Result, run_deploy
from tests.deploy.test_nginx import FreshLoad, nginx_before

pytestmark = pytest.mark.xdist_group("supervisor")

SOON = 60.0

MAIN = """
[supervisord]
nodaemon=true
logfile=/dev/stdout
logfile_maxbytes=0
pidfile={directory}/pid
childlogdir={directory}

[inet_http_server]
port=127.0.0.1:{port}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=http://127.0.0.1:{port}

[include]
files={rendered}
"""


WATCHED = "startsecs=5\n"  # that long, supervisord only watches: the tests wait for facts of their own


class Supervisor:
    """A supervisord on the rendered file, and its supervisorctl."""

    def __init__(self, server: PrivateServer, rendered: Path, url: str) -> None:
        self.url = url
        self.address = url.removeprefix("http://")
        self._main = server.directory / "supervisord.conf"
        self._main.write_text(MAIN.format(directory=server.directory, port=server.port, rendered=rendered))
        command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(self._main)]
        server.start(command, lambda: self.control("pid").returncode == 0)

    def control(self, *args: str) -> Result:
        command = [sys.executable, "-m", "supervisor.supervisorctl", "--configuration", str(self._main), *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    def states(self) -> dict[str, str]:
        return dict(line.split()[:2] for line in self.control("status").stdout.splitlines())

    def serves(self) -> bool:
        try:
            return (
                httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False, verify=NO_CERTIFICATES).status_code == 200
            )
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def supervised(make_project: Callable[[], Project]) -> Iterator[tuple[Supervisor, Project]]:
    project = make_project()
    ports = {"HTTP": free_port(), "WS": free_port()}
    settings = [f"XI_TEST_{kind}_PORT={port}" for kind, port in ports.items()]
    (project.directory / ".env").write_text("\n".join([*settings, *EMBEDDED, "XI_TEST_WORKERS=2", ""]))
    # The probe has what the service lacks: a slow request.
    (project.directory / "http_xi_test.py").write_text((project.directory / "http_probe.py").read_text())
    args = ["supervisor", "xi_test", "--account"]
    assert (result := run_deploy(project.directory, args)).returncode == 0, result.stderr
    rendered = project.directory / "deploy" / "supervisor" / "xi_test.conf"
    text = rendered.read_text()
    assert text.count(WATCHED) == 3
    rendered.write_text(text.replace(WATCHED, "startsecs=1\n"))
    with private_server("supervisord") as server:
        started = Supervisor(server, rendered, f"http://127.0.0.1:{ports['HTTP']}")
        yield started, project
        started.control("shutdown")


@pytest.fixture
def project(supervised: tuple[Supervisor, Project]) -> Project:
    """The one whose files supervisord reads."""
    return supervised[1]


@pytest.fixture
def supervisor(supervised: tuple[Supervisor, Project]) -> Supervisor:
    """With all programs running, whatever the test before has done."""
    supervisor = supervised[0]
    supervisor.control("start", "xi_test:*")
    wait_until(lambda: set(supervisor.states().values()) == {"RUNNING"}, SOON, what="all programs")
    wait_until(supervisor.serves, SOON, what="an answer")
    return supervisor


def test_all_launch_files_run_as_one_group(supervisor: Supervisor) -> None:
    assert set(supervisor.states()) == {"xi_test:http_xi_test", "xi_test:ws_xi_test", "xi_test:srv_xi_test"}


@pytest.mark.long
def test_a_reload_loses_no_request(supervisor: Supervisor, project: Project) -> None:
    before = supervisor.control("pid", "xi_test:http_xi_test").stdout
    with Load(f"{supervisor.url}/xi_test/articles") as load:
        wait_until(lambda: load.answered > 20, SOON, what="answers")
        reload_http(supervisor, project)
        answered = load.answered
        wait_until(lambda: load.answered > answered + 20, SOON, what="answers of the new workers")
    assert load.failures == []
    assert supervisor.control("pid", "xi_test:http_xi_test").stdout == before


def reload_http(supervisor: Supervisor, project: Project) -> None:
    reloads = project.log.read_text().count("Reloaded.")
    assert supervisor.control("signal", "HUP", "xi_test:http_xi_test").returncode == 0
    wait_until(lambda: project.log.read_text().count("Reloaded.") > reloads, SOON, what="the reload")


def test_start_reload_and_stop_behind_nginx_lose_no_request(supervisor: Supervisor, project: Project) -> None:
    """One copy is supervised, another is not; through all that happens to the first, nginx has an answer."""
    with ExitStack() as stack:
        other = stack.enter_context(project.service("http_probe", env={"XI_TEST_HTTP_PORT": str(free_port())}))
        other.wait_ready(path="/readyz")
        addresses = ("--http", supervisor.address, "--http", f"127.0.0.1:{other.port}")
        nginx = stack.enter_context(nginx_before(project, *addresses))
        nginx.start()
        with Load(f"{nginx.url}/xi_test/articles") as load:
            wait_until(lambda: load.answered > 20, SOON, what="answers")

            reload_http(supervisor, project)
            assert supervisor.control("restart", "xi_test:http_xi_test").returncode == 0
            wait_until(supervisor.serves, SOON, what="an answer after the restart")
            assert supervisor.control("stop", "xi_test:http_xi_test").returncode == 0
            answered = load.answered
            wait_until(lambda: load.answered > answered + 50, SOON, what="answers of the other copy")
            assert supervisor.control("start", "xi_test:http_xi_test").returncode == 0
            wait_until(supervisor.serves, SOON, what="an answer after the start")
        # nginx closes idle connections when it is told to read its file anew, and clients know of that only afterwards.
        with FreshLoad(f"{nginx.url}/xi_test/articles") as fresh:
            nginx.signal(signal.SIGHUP)
            wait_until(lambda: fresh.answered > 50, SOON, what="answers of both")
    assert load.failures == []
    assert fresh.failures == []


@pytest.mark.long
def test_a_stop_answers_what_is_in_flight(supervisor: Supervisor) -> None:
    answers: list[str] = []
    slow = f"{supervisor.url}/slow?seconds=3"
    asking = threading.Thread(
        target=lambda: answers.append(httpx.get(slow, timeout=SOON, trust_env=False, verify=NO_CERTIFICATES).text)
    )
    asking.start()
    tail = ("tail", "xi_test:http_xi_test")
    wait_until(lambda: "the slow request has begun" in supervisor.control(*tail).stdout, SOON, what="the request")
    assert supervisor.control("stop", "xi_test:*").returncode == 0
    asking.join()
    assert answers == ["done"]
    assert set(supervisor.states().values()) == {"STOPPED"}
    assert supervisor.control("start", "xi_test:*").returncode == 0
    wait_until(supervisor.serves, SOON, what="an answer after the start")


@pytest.mark.long
def test_a_restart_and_a_killed_process_come_back(supervisor: Supervisor) -> None:
    first = supervisor.control("pid", "xi_test:http_xi_test").stdout
    assert supervisor.control("restart", "xi_test:http_xi_test").returncode == 0
    wait_until(supervisor.serves, SOON, what="an answer after the restart")
    second = supervisor.control("pid", "xi_test:http_xi_test").stdout
    assert second != first
    supervisor.control("signal", "KILL", "xi_test:http_xi_test")
    wait_until(lambda: supervisor.control("pid", "xi_test:http_xi_test").stdout not in ("0\n", second), SOON)
    wait_until(supervisor.serves, SOON, what="an answer after the kill")
