"""Workers are forked from a template process where that is safe, and run the code of the moment of the last reload."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sanicbase.server.template import UnsafeTemplate, fork_template
from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.databases import fresh_redis_database
from sanicbase.testing.service import NO_CERTIFICATES
from tests.app.test_supervision import command_of, name_of, serves, workers

Project = Any  # a class of the conftest, which cannot be imported
SOON = 100.0  # seconds: far more than any of these facts needs
FALLBACK = "The workers are not forked, because"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Only Linux has subreapers")

LAUNCH = """
import os, random
from sanic import Blueprint
from sanic.response import json
from sanicbase import create_app, serve
from xi_test.config import config
from xi_test.url_main import http

{at_import}

VERSION = 1
own = random.Random()
facts = Blueprint("facts")
first = []

@facts.get("/facts")
async def answer(request):
    first[:] = first or [random.random(), own.random()]
    umask = os.umask(0)
    os.umask(umask)
    return json({{
        "pid": os.getpid(), "version": VERSION, "id": request.id, "random": first[0], "own": first[1], "umask": umask,
        "set": os.environ.get("SET_BY_A_LISTENER"), "worker": os.environ["SANIC_WORKER_NAME"],
    }})

app = create_app(config, http, facts)

@app.main_process_start
async def change(app):
    os.environ["SET_BY_A_LISTENER"] = "yes"
    if umask := os.environ.get("UMASK"):
        os.umask(int(umask))

if __name__ == "__main__":
    serve(app)
"""
THREAD = """
import threading
threading.Thread(target=threading.Event().wait, name="of-a-library", daemon=True).start()
"""
CONNECTION = """
import socket
import subprocess
connection = socket.create_connection(("127.0.0.1", int(os.environ["PEER"])))
"""

Started = Callable[..., ServiceProcess]


@pytest.fixture
def started(project: Project) -> Iterator[Started]:
    """Starts services, and waits until all workers serve."""
    with ExitStack() as stack:
        yield lambda at_import="", **env: stack.enter_context(start(project, at_import, **env))


@pytest.fixture(scope="module")
def watched(make_project: Callable[[], Project], redis_server_url: str) -> Iterator[ServiceProcess]:
    """One service, for the tests that only look at it."""
    with fresh_redis_database(redis_server_url) as redis, start(make_project(), XI_TEST_REDIS_URL=redis) as service:
        yield service


@contextmanager
def start(project: Project, at_import: str = "", **env: str) -> Iterator[ServiceProcess]:
    (project.directory / "http_facts.py").write_text(LAUNCH.format(at_import=at_import))
    env = {"XI_TEST_WORKERS": "2", "XI_TEST_START_TIMEOUT": str(SOON), **env}
    with project.service("http_facts", env=env) as service:
        service.wait_ready(path="/readyz")
        wait_until(lambda: "xi_test_http is serving." in service.output(), SOON, what="the last worker")
        yield service


def template_of(service: ServiceProcess) -> int | None:
    return next((pid for pid in service.pids() if name_of(pid) == "sanic-template"), None)


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def sockets_of(pid: int) -> set[str]:
    """All sockets of a process besides its standard streams."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        if int(descriptor.name) > 2 and (target := str(descriptor.readlink())).startswith("socket:"):
            sockets.add(target.removeprefix("socket:[").removesuffix("]"))
    return sockets


def internet_sockets() -> set[str]:
    """The sockets of all processes that have an IP address."""
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6", "udp", "udp6")]
    return {line.split()[9] for lines in tables for line in lines}


def facts(service: ServiceProcess) -> dict[str, Any]:
    response: dict[str, Any] = httpx.get(
        f"{service.base_url}/facts", timeout=10, trust_env=False, verify=NO_CERTIFICATES
    ).json()
    return response


def facts_of_all(service: ServiceProcess, count: int = 2) -> dict[int, dict[str, Any]]:
    """What each worker says of itself."""
    facts_by_pid: dict[int, dict[str, Any]] = {}

    def ask() -> bool:
        reported = facts(service)
        facts_by_pid[reported["pid"]] = reported
        return len(facts_by_pid) == count

    wait_until(ask, SOON, what="an answer of each worker")
    return facts_by_pid


def test_the_template_has_one_thread_and_no_connection(watched: ServiceProcess) -> None:
    template = template_of(watched)
    assert template is not None
    assert threads_of(template) == 1
    assert len(sockets_of(template)) == 1  # to the main process
    assert not sockets_of(template) & internet_sockets()
    for worker in workers(watched):
        assert threads_of(worker) > 1
        assert sockets_of(worker) & internet_sockets()
        assert "spawn_main" not in command_of(worker)
    assert FALLBACK not in watched.output()


@pytest.mark.parametrize(
    ("at_import", "cause", "count"),
    [
        (THREAD, "the import of the service starts a thread (of-a-library)", 2),
        (CONNECTION, "the import of the service opens a connection (('127.0.0.1', ", 1),
    ],
    ids=["thread", "connection"],
)
def test_a_service_that_must_not_be_forked_is_spawned_and_says_why(
    started: Started, at_import: str, cause: str, count: int
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as peer:
        service = started(at_import, PEER=str(peer.getsockname()[1]), XI_TEST_WORKERS=str(count))
        assert f"{FALLBACK} {cause}" in service.output()
        assert template_of(service) is None
        assert all("spawn_main" in command_of(pid) for pid in workers(service))
        assert len(facts_of_all(service, count)) == count
        before = workers(service)
        os.kill(service.pid, signal.SIGHUP)
        wait_until(lambda: "Reloaded." in service.output(), SOON, what="the reload")
        assert not workers(service) & before
        assert template_of(service) is None


@pytest.mark.parametrize("name", ["pidfd_open", "listdir"])
def test_a_system_that_lacks_what_a_template_needs_forks_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def lack(argument: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, name, lack)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    with pytest.raises(UnsafeTemplate, match=r"this system lacks pidfds or /proc .*not implemented"):
        fork_template(lambda: None, lambda descriptors: 0)


def test_a_setting_switches_the_template_off(started: Started) -> None:
    service = started(XI_TEST_FORK_WORKERS="false")
    assert template_of(service) is None
    assert all("spawn_main" in command_of(pid) for pid in workers(service))
    assert FALLBACK not in service.output()


def test_workers_have_the_environment_of_the_main_process(watched: ServiceProcess) -> None:
    facts = facts_of_all(watched).values()
    assert {event["set"] for event in facts} == {"yes"}
    assert {event["worker"] for event in facts} == {"Sanic-Server-0-0", "Sanic-Server-1-0"}


def test_workers_are_spawned_when_the_main_process_has_changed_what_they_inherit(started: Started) -> None:
    """Such as its account, after it has bound a port."""
    service = started(UMASK=str(0o027))
    assert f"{FALLBACK} the main process has changed what they inherit (Umask)" in service.output()
    assert {facts["umask"] for facts in facts_of_all(service).values()} == {0o027}
    assert all("spawn_main" in command_of(pid) for pid in workers(service))
    os.kill(service.pid, signal.SIGHUP)
    wait_until(lambda: "Reloaded." in service.output(), SOON, what="the reload")
    assert {facts["umask"] for facts in facts_of_all(service).values()} == {0o027}
    assert template_of(service) is not None, "the next one inherits it"


def test_a_reload_runs_the_code_of_that_moment_and_a_restart_that_of_the_others(
    project: Project, started: Started
) -> None:
    service = started()
    template = template_of(service)
    launch = project.directory / "http_facts.py"
    launch.write_text(launch.read_text().replace("VERSION = 1", "VERSION = 2"))

    victim = min(workers(service))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in workers(service) and len(workers(service)) == 2, SOON, what="a new worker")
    wait_until(lambda: serves(service), SOON, what="an answer")
    assert {facts["version"] for facts in facts_of_all(service).values()} == {1}

    os.kill(service.pid, signal.SIGHUP)
    wait_until(lambda: "Reloaded." in service.output(), SOON, what="the reload")
    assert {facts["version"] for facts in facts_of_all(service).values()} == {2}
    assert template_of(service) not in (None, template)
    assert all(threads_of(pid) == 1 for pid in service.pids() if name_of(pid) == "sanic-template")


def test_forked_workers_share_no_ids_and_no_randomness(watched: ServiceProcess) -> None:
    one, two = facts_of_all(watched).values()
    assert one["random"] != two["random"]
    assert abs(int(one["id"], 16) - int(two["id"], 16)) > 2**64
    assert one["own"] == two["own"], "a generator of the service's own is forked with its state"


def test_a_killed_template_ends_no_worker_and_the_next_one_is_made_when_it_is_needed(started: Started) -> None:
    service = started()
    before, template = workers(service), template_of(service)
    assert template is not None
    os.kill(template, signal.SIGKILL)
    assert len(facts_of_all(service)) == 2
    assert workers(service) == before

    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(workers(service) - {min(before)}) == 2, SOON, what="a new worker")
    line = f"The template process [{template}] was killed by SIGKILL."
    wait_until(lambda: line in service.output(), SOON, what="the line of its end")
    assert template_of(service) not in (None, template)
    wait_until(lambda: len(facts_of_all(service)) == 2, SOON, what="all workers")


@pytest.mark.parametrize("victims", ["main", "template and main"])
def test_no_process_outlives_the_main_process(project: Project, started: Started, victims: str) -> None:
    service = started()
    template = template_of(service)
    assert template is not None
    assert len(service.pids()) > 3
    if victims == "template and main":
        os.kill(template, signal.SIGKILL)
    assert service.kill() == -9
    wait_until(lambda: not service.survivors() and not project.valkeys(), SOON, what="the end of all processes")


def test_the_main_process_is_the_parent_of_its_workers(watched: ServiceProcess) -> None:
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in workers(watched)]
    assert {int(fields[1]) for fields in stats} == {watched.pid}


PREPARED = """
import asyncio, multiprocessing, sys, http_xi_test
from sanicbase.lifespan import lifespan
from sanicbase.server.serve import import_models
from xi_test.config import config

async def open_databases():
    async with lifespan(config, check=False):
        pass

before = {*sys.modules}
import_models("xi_test_http")
imported = {*sys.modules}
multiprocessing.current_process().name = "Sanic-Server-0-0"
asyncio.run(open_databases())
packages = ("aerich", "sanicbase", "tortoise", "xi_test")
print("sanicbase.db.engine.embedded" in imported - before)
print(*(name for name in {*sys.modules} - imported if name.startswith(packages)))
print(*(name for name in sys.modules if name.startswith(("aerich", "sanicbase.migrations"))))
"""


def test_a_template_imports_what_each_worker_would_import_when_it_opens_its_databases(project: Project) -> None:
    command = [sys.executable, "-c", PREPARED]
    result = subprocess.run(command, cwd=project.directory, capture_output=True, text=True, check=True)
    in_template, in_worker, of_migrations = result.stdout.splitlines()
    assert in_template == "True"
    assert (in_worker, of_migrations) == ("", "")  # only main processes look at migrations
