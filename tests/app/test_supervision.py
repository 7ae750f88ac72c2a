"""Workers come back, are replaced without a lost request, and end when they are told, at any moment."""

from __future__ import annotations

import errno
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from sanicbase.testing import ServiceProcess, free_port, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.app.conftest import Project

STOPS = int(os.environ.get("SANICBASE_TEST_STOPS", "5"))
SOON = 20.0  # seconds: far more than any of these facts needs
GRACE = 10.0  # seconds that the service is given to stop

Hold = Callable[..., AbstractContextManager[ServiceProcess]]


class Load:
    """Clients that ask for a page again and again, on kept connections, and count what does not come.

    Each asks up to a hundred times a second: what starts and stops meanwhile needs the processor as well.
    """

    PAUSE = 0.01

    def __init__(self, url: str, clients: int = 4) -> None:
        self._url = url
        self._ending = threading.Event()
        self.answered = 0
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(timeout=10, trust_env=False, verify=NO_CERTIFICATES) as client:
            while not self._ending.wait(self.PAUSE):
                try:
                    client.get(self._url).raise_for_status()
                    self.answered += 1
                except httpx.HTTPError as exc:
                    self.failures.append(repr(exc))


@pytest.fixture
def service(project: Project) -> Iterator[ServiceProcess]:
    env = {"XI_TEST_WORKERS": "2", "XI_TEST_WORKER_TIMEOUT": "2", "XI_TEST_GRACEFUL_SHUTDOWN_TIMEOUT": str(GRACE)}
    with project.service("http_probe", env=env) as process:
        process.wait_ready(path="/readyz")
        wait_until(lambda: "xi_test_http is serving." in process.output(), SOON, what="the last worker")
        yield process


def workers(service: ServiceProcess) -> set[int]:
    """The processes that serve."""
    return {pid for pid in service.pids() if name_of(pid).startswith("sanic-worker")}


def command_of(pid: int) -> str:
    return read_of(pid, "cmdline")


def name_of(pid: int) -> str:
    return read_of(pid, "comm").strip()


def read_of(pid: int, name: str) -> str:
    """A file of a process in /proc; empty when the process has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def serves(service: ServiceProcess) -> bool:
    try:
        return (
            httpx.get(f"{service.base_url}/readyz", timeout=2, trust_env=False, verify=NO_CERTIFICATES).status_code
            == 200
        )
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("victims", [1, 2], ids=["one", "all"])
def test_killed_workers_come_back(service: ServiceProcess, victims: int) -> None:
    before = workers(service)
    assert len(before) == 2
    for pid in sorted(before)[:victims]:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(workers(service) - before) == victims, SOON, what="new workers")
    wait_until(lambda: serves(service), SOON, what="an answer")
    wait_until(lambda: service.output().count("was killed by SIGKILL") == victims, SOON, what="a line in the log")


def test_a_hanging_worker_is_replaced(service: ServiceProcess) -> None:
    before = workers(service)
    frozen = min(before)
    os.kill(frozen, signal.SIGSTOP)
    wait_until(lambda: frozen not in workers(service), SOON, what="the end of the frozen worker")
    wait_until(lambda: len(workers(service)) == 2 and serves(service), SOON, what="another worker")
    assert f"[{frozen}] sent no heartbeat" in service.output()


def test_a_reload_replaces_all_workers_and_loses_no_request(service: ServiceProcess) -> None:
    before = workers(service)
    with Load(f"{service.base_url}/xi_test/articles") as load:
        wait_until(lambda: load.answered > 20, SOON, what="some answers")
        os.kill(service.pid, signal.SIGHUP)
        wait_until(lambda: service.output().count("Reloaded.") == 1, SOON, what="the reload")
        os.kill(service.pid, signal.SIGHUP)
        wait_until(lambda: service.output().count("Reloaded.") == 2, SOON, what="the second reload")
        answered = load.answered
        wait_until(lambda: load.answered > answered + 20, SOON, what="answers of the new workers")
    assert load.failures == []
    assert len(workers(service)) == 2
    assert not workers(service) & before


def test_a_broken_new_version_leaves_the_old_one_serving(project: Project, service: ServiceProcess) -> None:
    before = workers(service)
    views = project.directory / "xi_test" / "url_main.py"
    sound = views.read_text()
    views.write_text(f"{sound}\nraise LookupError('this version is broken')\n")
    with Load(f"{service.base_url}/xi_test/articles") as load:
        os.kill(service.pid, signal.SIGHUP)
        wait_until(lambda: "The old workers keep serving." in service.output(), SOON, what="the refusal")
    assert load.failures == []
    assert workers(service) == before
    assert "this version is broken" in service.output()
    views.write_text(sound)
    os.kill(service.pid, signal.SIGHUP)
    wait_until(lambda: "Reloaded." in service.output(), SOON, what="the reload of the mended version")


def test_a_stop_answers_what_is_in_flight_and_takes_nothing_new(service: ServiceProcess) -> None:
    responses: list[httpx.Response] = []
    url = f"{service.base_url}/slow?seconds=2"
    asking = threading.Thread(
        target=lambda: responses.append(httpx.get(url, timeout=GRACE, trust_env=False, verify=NO_CERTIFICATES))
    )
    asking.start()
    wait_until(lambda: "the slow request has begun" in service.output(), SOON, what="the slow request")
    os.kill(service.pid, signal.SIGTERM)
    wait_until(lambda: is_refused(service), SOON, what="the end of listening")
    assert asking.is_alive(), "the slow request is still in flight"
    assert service.wait(GRACE + 5) == 0
    asking.join()
    assert [(response.status_code, response.text) for response in responses] == [(200, "done")]
    wait_until(lambda: not service.survivors(), SOON, what="the end of multiprocessing's own tracker")
    assert not serves(service)


def test_a_request_that_outlasts_the_grace_does_not_hold_the_stop_up(project: Project) -> None:
    with project.service("http_probe", env={"XI_TEST_GRACEFUL_SHUTDOWN_TIMEOUT": "1"}) as service:
        service.wait_ready(path="/readyz")
        url = f"{service.base_url}/slow?seconds=60"
        asking = threading.Thread(target=fail_to_get, args=(url,))
        asking.start()
        wait_until(lambda: "the slow request has begun" in service.output(), SOON, what="the slow request")
        with socket.create_connection(("127.0.0.1", service.port)) as half:
            half.sendall(b"GET /slow HTTP/1.1\r\nHost")
            assert service.terminate(SOON) == 0
        asking.join()
        assert "GET /slow: the client closed the connection before the response." in service.output()
        assert "The client closed the connection before its request was complete." in service.output()
        assert "Traceback" not in service.output()


# A service that stands still at the moment of its start that MOMENT names, for ever, and says so.
HELD = """
import asyncio, os, threading
from sanicbase.process.role import is_main_process

def worker():
    return os.environ.get("SANIC_WORKER_NAME", "")

def reached(*moments):
    if os.environ["MOMENT"] in moments:
        print("reached", os.environ["MOMENT"], flush=True)
        return True

if worker() and reached("workers import"):
    threading.Event().wait()

from sanicbase import create_app, serve
from xi_test.config import config
from xi_test.url_main import http

class Held:
    name = "held"
    async def __aenter__(self):
        if reached("workers open") if worker() else reached("the main process opens"):
            await asyncio.Event().wait()
        if worker() and reached("the workers' event loops stand still"):
            threading.Event().wait()
    async def __aexit__(self, *_): ...
    async def ping(self): ...

app = create_app(config, http, resources=(Held(),))

@app.after_server_start
async def serve_all_but_the_first(app):
    if worker().endswith("-0-0"):
        if reached("one of two serves"):
            await asyncio.Event().wait()

if __name__ == "__main__":
    serve(app)
"""


@pytest.fixture
def hold(project: Project) -> Hold:
    """Starts a service, by serve() or by the sanic command, and waits until that moment of its start."""
    (project.directory / "http_held.py").write_text(HELD)

    @contextmanager
    def held(
        moment: str, *, workers: int = 2, by_sanic: bool = False, grace: float = GRACE
    ) -> Iterator[ServiceProcess]:
        port = str(free_port())
        command = [sys.executable, "-m", "sanic", "http_held:app", "--port", port, "--workers", str(workers)]
        env = {
            "MOMENT": moment,
            "XI_TEST_WORKERS": str(workers),
            "XI_TEST_HTTP_PORT": port,
            "XI_TEST_GRACEFUL_SHUTDOWN_TIMEOUT": str(grace),
            "XI_TEST_FORK_WORKERS": str(moment != "workers import"),  # forked ones import nothing
        }
        cold = moment == "workers import"  # the main process as well
        with project.service("http_held", command=command if by_sanic else None, env=env, cold=cold) as service:
            of_all = workers if moment.startswith("workers") else 1
            wait_until(lambda: service.output().count("reached") == of_all, SOON, what=f"the moment when {moment}")
            if moment == "one of two serves":
                wait_until(lambda: serves(service), SOON, what="an answer")
            service.pids()
            yield service
            wait_until(lambda: not service.survivors() and not project.valkeys(), SOON, what="the end of all processes")

    return held


@pytest.mark.parametrize(
    ("moment", "by_sanic", "number", "workers"),
    [
        ("the main process opens", False, signal.SIGINT, 1),
        ("the main process opens", True, signal.SIGINT, 1),
        ("workers import", False, signal.SIGTERM, 4),
        ("workers import", True, signal.SIGTERM, 2),
        ("workers open", False, signal.SIGINT, 2),
        ("one of two serves", False, signal.SIGTERM, 2),
    ],
)
def test_a_stop_during_the_start_ends_all_in_order(
    hold: Hold, moment: str, by_sanic: bool, number: signal.Signals, workers: int
) -> None:
    with hold(moment, workers=workers, by_sanic=by_sanic) as service:
        os.kill(service.pid, number)
        assert service.wait(SOON) == 0
        assert "is killed" not in service.output()
        assert "Traceback" not in service.output()


def test_a_stop_that_all_processes_hear_while_workers_import_is_no_failure(hold: Hold) -> None:
    with hold("workers import") as service:
        os.killpg(service.pid, signal.SIGTERM)
        assert service.wait(SOON) == 0
        assert "could not start" not in service.output()


def test_a_stop_that_all_processes_hear_while_resources_are_checked_is_no_failure(hold: Hold) -> None:
    with hold("the main process opens") as service:
        assert [pid for pid in service.pids() if name_of(pid) == "sanic-check"]
        os.killpg(service.pid, signal.SIGTERM)
        assert service.wait(SOON) == 0
        assert "Traceback" not in service.output()


def test_a_check_of_resources_ends_with_the_main_process(hold: Hold) -> None:
    with hold("the main process opens") as service:
        assert service.kill() == -signal.SIGKILL


def test_a_killed_check_of_resources_ends_the_start_with_the_reason(hold: Hold) -> None:
    with hold("the main process opens") as service:
        [check] = [pid for pid in service.pids() if name_of(pid) == "sanic-check"]
        os.kill(check, signal.SIGKILL)
        assert service.wait(SOON) == 1
        last = service.output().strip().splitlines()[-1]
        assert last == "xi_test_http could not start: the check of its resources was killed by SIGKILL."


@pytest.mark.parametrize("forks", [True, False], ids=["forked", "spawned"])
def test_a_resource_with_a_bug_ends_the_start_with_its_traceback(project: Project, *, forks: bool) -> None:
    (project.directory / "http_buggy.py").write_text(
        "from sanicbase import create_app, serve\n"
        "from xi_test.config import config\n"
        "from xi_test.url_main import http\n"
        "class Buggy:\n"
        "    name = 'buggy'\n"
        "    async def __aenter__(self):\n        raise LookupError('a bug')\n"
        "    async def __aexit__(self, *_): ...\n"
        "    async def ping(self): ...\n"
        "app = create_app(config, http, resources=(Buggy(),))\n"
        "if __name__ == '__main__':\n    serve(app)\n"
    )
    with project.service("http_buggy", env={"XI_TEST_FORK_WORKERS": str(forks)}) as process:
        assert process.wait(SOON) == 1
        assert process.output().count("Traceback") == 1
        assert "\nLookupError: a bug\n" in process.output()


def test_a_worker_that_cannot_hear_the_stop_while_it_starts_is_killed_within_the_grace(hold: Hold) -> None:
    with hold("the workers' event loops stand still", workers=1, grace=1.0) as service:
        os.kill(service.pid, signal.SIGTERM)
        assert service.wait(SOON) == 0
        assert "did not stop in time and is killed." in service.output()


def test_a_second_signal_during_the_start_kills_the_workers(hold: Hold) -> None:
    with hold("the workers' event loops stand still", workers=1, grace=600.0) as service:

        def ended() -> bool:
            os.kill(service.pid, signal.SIGTERM)
            with suppress(TimeoutError):  # a signal within the first second is the same stop
                return wait_until(lambda: "Second stop signal" in service.output(), 1.5, what="its line in the log")
            return False

        wait_until(ended, SOON, what="the second signal")
        # One more signal may come when all is over and Python's own handling is back.
        assert service.wait(SOON) in (0, -signal.SIGTERM)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_at_any_moment_of_the_start_leaves_nothing(project: Project, number: signal.Signals) -> None:
    begun = time.monotonic()
    with project.service(env={"XI_TEST_WORKERS": "2"}) as process:
        process.wait_ready(path="/readyz")
        needed = time.monotonic() - begun
    for part in [random.random() for _ in range(STOPS)]:
        with project.service(env={"XI_TEST_WORKERS": "2"}) as process:
            time.sleep(part * needed * 1.3)  # the moment itself is what is tried
            process.pids()
            os.kill(process.pid, number)
            process.wait(GRACE)
            assert wait_until(lambda: not process.survivors(), GRACE, what="the end of all")


def test_a_first_worker_that_cannot_start_ends_the_service_with_the_reason(project: Project) -> None:
    broken = project.directory / "http_broken.py"
    broken.write_text(
        "from sanicbase import create_app, serve\n"
        "from xi_test.config import config\n"
        "from xi_test.url_main import http\n"
        "app = create_app(config, http)\n"
        "@app.before_server_start\n"
        "async def fail(app):\n    raise LookupError('the price list is missing')\n"
        "if __name__ == '__main__':\n    serve(app)\n"
    )
    with project.service("http_broken") as process:
        assert process.wait(SOON) == 1
        assert "could not start: a worker LookupError: the price list is missing" in process.output()
        wait_until(lambda: not process.survivors(), SOON, what="the end of multiprocessing's own tracker")


def test_a_worker_that_never_gets_ready_ends_the_start(project: Project) -> None:
    slow = project.directory / "http_slow.py"
    slow.write_text(
        "import asyncio\n"
        "from sanicbase import create_app, serve\n"
        "from xi_test.config import config\n"
        "from xi_test.url_main import http\n"
        "app = create_app(config, http)\n"
        "@app.before_server_start\n"
        "async def wait(app):\n    await asyncio.Event().wait()\n"
        "if __name__ == '__main__':\n    serve(app)\n"
    )
    with project.service("http_slow", env={"XI_TEST_START_TIMEOUT": "2"}) as process:
        assert process.wait(SOON) == 1
        assert "was not ready within 2 seconds" in process.output()


def test_a_port_that_is_taken_is_named_with_its_holder(project: Project) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as holder:
        port = str(holder.getsockname()[1])
        with project.service(env={"XI_TEST_HTTP_PORT": port}) as process:
            assert process.wait(SOON) == 1
            assert f"Stop process {os.getpid()} (" in process.output()
            assert "XI_TEST_HTTP_PORT" in process.output()


def test_health_distinguishes_a_frozen_cache_from_a_dead_service(project: Project) -> None:
    with project.service(env={"XI_TEST_HTTP_PORT": str(free_port())}) as service:
        service.wait_ready(path="/readyz")
        ready = httpx.get(f"{service.base_url}/readyz", trust_env=False, verify=NO_CERTIFICATES)
        assert (ready.json()["status"], set(ready.json()["resources"])) == (
            "ready",
            {"database", "redis", "cache models", "idempotency keys", "access records"},
        )
        for pid in project.valkeys():
            os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: status(service) == (200, "degraded"), SOON, what="the frozen cache to be noticed")
            assert (
                httpx.get(f"{service.base_url}/livez", timeout=2, trust_env=False, verify=NO_CERTIFICATES).status_code
                == 200
            )
        finally:
            for pid in project.valkeys():
                os.kill(pid, signal.SIGCONT)
        wait_until(lambda: status(service) == (200, "ready"), SOON, what="the cache to be back")


def status(service: ServiceProcess) -> tuple[int, str]:
    response = httpx.get(f"{service.base_url}/readyz", timeout=5, trust_env=False, verify=NO_CERTIFICATES)
    return response.status_code, response.json()["status"]


def is_refused(service: ServiceProcess) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", service.port)) == errno.ECONNREFUSED


def fail_to_get(url: str) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(url, trust_env=False, verify=NO_CERTIFICATES)
