"""supervisor's file, under a real supervisord."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sanicbase.testing import free_port, wait_until
from sanicbase.testing.private_server import PrivateServer, private_server
from tests.app.conftest import Project
from tests.app.test_supervision import Load
from tests.deploy.conftest import Told

pytestmark = pytest.mark.long

SOON = 30.0

Tell = Callable[..., Told]

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


class Supervisor:
    """A supervisord on the rendered file, and its supervisorctl."""

    def __init__(self, server: PrivateServer, rendered: Path, url: str) -> None:
        self.url = url
        self._main = server.directory / "supervisord.conf"
        self._main.write_text(MAIN.format(directory=server.directory, port=server.port, rendered=rendered))
        command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(self._main)]
        server.start(command, lambda: self.control("pid").returncode == 0)

    def control(self, *words: str) -> Told:
        command = [sys.executable, "-m", "supervisor.supervisorctl", "--configuration", str(self._main), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    def states(self) -> dict[str, str]:
        return dict(line.split()[:2] for line in self.control("status").stdout.splitlines())

    def serves(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def supervisor(tell: Tell, project: Project) -> Iterator[Supervisor]:
    ports = {"HTTP": free_port(), "WS": free_port()}
    settings = [f"XI_TEST_{kind}_PORT={port}" for kind, port in ports.items()]
    (project.directory / ".env").write_text("\n".join([*settings, "XI_TEST_WORKERS=2", ""]))
    # The probe has what the service lacks: a slow request.
    (project.directory / "http_probe.py").rename(project.directory / "http_xi_test.py")
    assert (told := tell("supervisor", "xi_test", "--account")).returncode == 0, told.stderr
    rendered = project.directory / "deploy" / "supervisor" / "xi_test.conf"
    with private_server("supervisord") as server:
        started = Supervisor(server, rendered, f"http://127.0.0.1:{ports['HTTP']}")
        wait_until(lambda: set(started.states().values()) == {"RUNNING"}, SOON, what="all programs")
        wait_until(started.serves, SOON, what="an answer")
        yield started
        started.control("shutdown")


def test_all_launch_files_run_as_one_group(supervisor: Supervisor) -> None:
    assert set(supervisor.states()) == {"xi_test:http_xi_test", "xi_test:ws_xi_test", "xi_test:srv_xi_test"}


def test_a_reload_loses_no_request(supervisor: Supervisor, project: Project) -> None:
    before = supervisor.control("pid", "xi_test:http_xi_test").stdout
    with Load(f"{supervisor.url}/xi_test/articles") as load:
        wait_until(lambda: load.answered > 20, SOON, what="answers")
        assert supervisor.control("signal", "HUP", "xi_test:http_xi_test").returncode == 0
        wait_until(lambda: "Reloaded." in project.log.read_text(), SOON, what="the reload")
        answered = load.answered
        wait_until(lambda: load.answered > answered + 20, SOON, what="answers of the new workers")
    assert load.failures == []
    assert supervisor.control("pid", "xi_test:http_xi_test").stdout == before


def test_a_stop_answers_what_is_in_flight(supervisor: Supervisor) -> None:
    answers: list[str] = []
    slow = f"{supervisor.url}/slow?seconds=3"
    asking = threading.Thread(target=lambda: answers.append(httpx.get(slow, timeout=SOON, trust_env=False).text))
    asking.start()
    tail = ("tail", "xi_test:http_xi_test")
    wait_until(lambda: "the slow request has begun" in supervisor.control(*tail).stdout, SOON, what="the request")
    assert supervisor.control("stop", "xi_test:*").returncode == 0
    asking.join()
    assert answers == ["done"]
    assert set(supervisor.states().values()) == {"STOPPED"}
    assert supervisor.control("start", "xi_test:*").returncode == 0
    wait_until(supervisor.serves, SOON, what="an answer after the start")


def test_a_restart_and_a_killed_process_come_back(supervisor: Supervisor) -> None:
    first = supervisor.control("pid", "xi_test:http_xi_test").stdout
    assert supervisor.control("restart", "xi_test:http_xi_test").returncode == 0
    wait_until(supervisor.serves, SOON, what="an answer after the restart")
    second = supervisor.control("pid", "xi_test:http_xi_test").stdout
    assert second != first
    supervisor.control("signal", "KILL", "xi_test:http_xi_test")
    wait_until(lambda: supervisor.control("pid", "xi_test:http_xi_test").stdout not in ("0\n", second), SOON)
    wait_until(supervisor.serves, SOON, what="an answer after the kill")
