from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from sanicbase.testing import ServiceProcess, free_port, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.app.test_supervision import command_of, name_of

Project = Any  # a class of the conftest, which cannot be imported
ADMIN_TOKEN = "an-admin-token-that-is-long-enough"
GONE = 20.0  # seconds: a worker notices that its parent has gone when it has imported the launch file
SOON = 20.0  # seconds: far more than any of these facts needs
READS = 20  # which reach all workers
STOPS = int(os.environ.get("SANICBASE_TEST_STOPS", "5"))
BOTH_LAUNCHERS = pytest.mark.parametrize("by_sanic", [False, True], ids=["python", "sanic"])


def started(project: Project, workers: int, *, by_sanic: bool = False, cold: bool = False) -> ServiceProcess:
    """The process of the HTTP service, not started yet; those that Sanic spawns import everything themselves."""
    port = str(free_port())
    command = [sys.executable, "-m", "sanic", "http_xi_test:app", "--port", port, "--workers", str(workers)]
    env = {"XI_TEST_WORKERS": str(workers), "XI_TEST_ADMIN_TOKEN": ADMIN_TOKEN, "XI_TEST_HTTP_PORT": port}
    process: ServiceProcess = project.service(command=command if by_sanic else None, env=env, cold=cold)
    return process


def spawned(process: ServiceProcess) -> set[int]:
    """Children that multiprocessing has spawned, Sanic's state manager among them, and forked workers."""
    return {pid for pid in process.pids() if "spawn_main" in command_of(pid) or name_of(pid).startswith("sanic-worker")}


def assert_none_left(project: Project, process: ServiceProcess) -> None:
    wait_until(lambda: not process.survivors() and not project.valkeys(), GONE, what="the end of all processes")


@BOTH_LAUNCHERS
def test_killed_main_process_leaves_nothing_behind(project: Project, by_sanic: bool) -> None:
    with started(project, 2, by_sanic=by_sanic, cold=True) as process:
        process.wait_ready()
        assert len(process.pids()) > 3
        assert process.kill() == -9
        assert_none_left(project, process)


MOMENTS: dict[str, Callable[[Project, ServiceProcess], object]] = {
    "the first child exists": lambda project, process: len(process.pids()) > 1,
    "the embedded Valkey runs": lambda project, process: project.valkeys(),
    "a worker exists": lambda project, process: "xi_test/main" in process.output() and spawned(process),
}


@BOTH_LAUNCHERS
@pytest.mark.parametrize("moment", MOMENTS)
def test_main_process_killed_while_it_starts_leaves_nothing_behind(
    project: Project, moment: str, by_sanic: bool
) -> None:
    with started(project, 2, by_sanic=by_sanic) as process:
        wait_until(lambda: MOMENTS[moment](project, process), SOON, what=f"the moment when {moment}")
        process.kill()
        assert_none_left(project, process)


@pytest.mark.long
@BOTH_LAUNCHERS
def test_main_process_killed_at_any_moment_of_its_start_leaves_nothing_behind(project: Project, by_sanic: bool) -> None:
    begun = time.monotonic()
    with started(project, 2, by_sanic=by_sanic, cold=True) as process:
        process.wait_ready()
        needed = time.monotonic() - begun
        process.kill()
        assert_none_left(project, process)
    for part in [random.random() for _ in range(STOPS)]:
        with started(project, 2, by_sanic=by_sanic, cold=True) as process:
            time.sleep(part * needed * 1.2)  # the moment itself is what is tried
            process.kill()
            assert_none_left(project, process)


KILLED_WITH_ITS_MANAGER = """
import os, signal, sys
from sanic.mixins import startup
manager = startup.Manager
startup.Manager = lambda: (manager(), os.kill(os.getpid(), signal.SIGKILL))
from sanic.__main__ import main
sys.argv[0] = "sanic"
main()
"""


def test_main_process_killed_as_soon_as_sanic_has_its_manager(project: Project) -> None:
    command = [sys.executable, "-c", KILLED_WITH_ITS_MANAGER, "http_xi_test:app", "--port", str(free_port())]
    with project.service(command=command) as process:
        assert process.wait(20) == -9
        assert_none_left(project, process)


def read(url: str) -> str:
    """What comes for one article, over a connection of its own."""
    try:
        return str(httpx.get(url, timeout=10, trust_env=False, verify=NO_CERTIFICATES).status_code)
    except httpx.TransportError as exc:
        return type(exc).__name__


def test_http_takes_valkey_over_from_a_killed_service(project: Project) -> None:
    with ExitStack() as stack:
        ws = stack.enter_context(project.service("ws_xi_test", kind="ws"))
        ws.wait_ready()  # the first to start owns Valkey
        owner = project.valkeys()
        http = stack.enter_context(started(project, 2))
        http.wait_ready()
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        written = http.client.post("/xi_test/articles", headers=headers, json={"slug": "a", "title": "b"})
        path = f"/xi_test/articles/{written.json()['data']['id']}"
        url = http.base_url + path
        assert {read(url) for _ in range(READS)} == {"200"}

        ws.kill()
        read(url)  # whatever comes in the gap, the workers live through it
        wait_until(lambda: len(project.valkeys() - owner) == 1 and not project.valkeys() & owner, what="the new Valkey")
        wait_until(lambda: {read(url) for _ in range(READS)} == {"200"}, SOON, what="the end of the gap")
        assert http.client.patch(path, headers=headers, json={"title": "c"}).status_code == 200
        titles = {httpx.get(url, trust_env=False, verify=NO_CERTIFICATES).json()["data"]["title"] for _ in range(READS)}
        assert titles == {"c"}


def test_websockets_keep_working_when_the_http_service_that_owns_valkey_is_killed(project: Project) -> None:
    with ExitStack() as stack:
        http = stack.enter_context(started(project, 1))
        http.wait_ready()  # the first to start owns Valkey
        ws = stack.enter_context(project.service("ws_xi_test", kind="ws"))
        ws.wait_ready()
        with ws.connect("/xi_test/echo") as echo:
            http.kill()
            echo.send("still here")
            assert echo.recv(timeout=30) == "still here"
        wait_until(lambda: not http.survivors() and len(project.valkeys()) == 1, GONE)
        with started(project, 1) as restarted:
            restarted.wait_ready()
            assert restarted.client.get("/xi_test/articles").status_code == 200
            assert len(project.valkeys()) == 1
