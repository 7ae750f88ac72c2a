from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from sanicbase.testing import ServiceProcess, free_port, wait_until

Project = Any  # a class of the conftest, which cannot be imported
ADMIN_TOKEN = "an-admin-token-that-is-long-enough"
GONE = 5.0  # seconds
TAKEN_OVER = 5.0  # seconds


def started(project: Project, workers: int, *, by_sanic: bool = False) -> ServiceProcess:
    port = str(free_port())
    command = [sys.executable, "-m", "sanic", "http_xi_test:app", "--port", port, "--workers", str(workers)]
    env = {"XI_TEST_WORKERS": str(workers), "XI_TEST_ADMIN_TOKEN": ADMIN_TOKEN, "XI_TEST_HTTP_PORT": port}
    process: ServiceProcess = project.service(command=command if by_sanic else None, env=env)
    return process


def assert_none_left(project: Project, process: ServiceProcess) -> None:
    wait_until(lambda: not process.survivors() and not project.valkeys(), GONE, what="the end of all processes")


@pytest.mark.parametrize("by_sanic", [False, True], ids=["python", "sanic"])
@pytest.mark.parametrize("workers", [1, 4])
def test_killed_main_process_leaves_nothing_behind(project: Project, workers: int, by_sanic: bool) -> None:
    with started(project, workers, by_sanic=by_sanic) as process:
        process.wait_ready()
        assert len(process.pids()) > workers + 1
        assert process.kill() == -9
        assert_none_left(project, process)


@pytest.mark.parametrize("by_sanic", [False, True], ids=["python", "sanic"])
def test_main_process_killed_while_it_starts_leaves_nothing_behind(project: Project, by_sanic: bool) -> None:
    begun = time.monotonic()
    with started(project, 2, by_sanic=by_sanic) as process:
        process.wait_ready()
        needed = time.monotonic() - begun
        process.kill()
        assert_none_left(project, process)
    for part in [random.random() for _ in range(5)]:
        with started(project, 2, by_sanic=by_sanic) as process:
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


class Reader:
    """Asks for one article, a connection each time, and remembers what came and when."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.failures: list[tuple[float, str]] = []
        self.slowest = 0.0

    def read_for(self, seconds: float) -> None:
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < seconds:
            try:
                what = str(httpx.get(self._url, timeout=10, trust_env=False).status_code)
            except httpx.TransportError as exc:
                what = type(exc).__name__
            self.slowest = max(self.slowest, time.monotonic() - begun - now)
            if what != "200":
                self.failures.append((now, what))


@pytest.mark.parametrize("workers", [1, 4])
def test_http_takes_valkey_over_from_a_killed_service(
    project: Project, workers: int, record_property: Callable[[str, object], None]
) -> None:
    with ExitStack() as stack:
        ws = stack.enter_context(project.service("ws_xi_test", kind="ws"))
        ws.wait_ready()  # the first to start owns Valkey
        owner = project.valkeys()
        http = stack.enter_context(started(project, workers))
        http.wait_ready()
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        written = http.client.post("/xi_test/articles", headers=headers, json={"slug": "a", "title": "b"})
        path = f"/xi_test/articles/{written.json()['data']['id']}"
        reader = Reader(http.base_url + path)
        reader.read_for(0.5)
        assert reader.failures == []

        ws.kill()
        reader.read_for(TAKEN_OVER)
        seen = list(reader.failures)
        record_property("failures_in_the_gap", seen)
        record_property("slowest_in_the_gap", f"{reader.slowest:.2f} s")
        assert not seen or seen[-1][0] < TAKEN_OVER - 1, seen
        wait_until(lambda: len(project.valkeys() - owner) == 1 and not project.valkeys() & owner, what="the new Valkey")

        reader.failures.clear()
        reader.read_for(2.0)
        assert reader.failures == []
        assert http.client.patch(path, headers=headers, json={"title": "c"}).status_code == 200
        titles = {http.client.get(path).json()["data"]["title"] for _ in range(20)}
        assert titles == {"c"}


def test_websockets_go_on_when_the_http_service_that_owns_valkey_is_killed(project: Project) -> None:
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
        with started(project, 1) as again:
            again.wait_ready()
            assert again.client.get("/xi_test/articles").status_code == 200
            assert len(project.valkeys()) == 1
