"""What Sanic documents of an app happens under `python http_hooks.py` as it does under `sanic http_hooks:app`."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sanic import Sanic

from sanicbase import ConfigError, create_app
from sanicbase.server.context import App
from sanicbase.server.manager import Manager
from sanicbase.server.multiplexer import Multiplexer
from sanicbase.server.unsupported import refuse_unsupported
from sanicbase.testing import ServiceProcess, free_port, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from xi_test.config import config

Project = Any  # a class of the conftest, which cannot be imported
SOON = 40.0  # seconds: far more than a start needs
HOOKS = Path(__file__).parent / "http_hooks.py"
HOOK = re.compile(r"HOOK (main|worker) (.+)")

pytestmark = pytest.mark.xdist_group("hooks")  # one process makes the two runs


@dataclass(frozen=True)
class Run:
    """What one launcher made of the launch file: the record of each process, in order, and the answers."""

    main: list[str]
    worker: list[str]
    tasks: set[str]
    facts: dict[str, object]
    statuses: list[int]
    headers: list[str]
    status: int
    output: str


def run(project: Project, *, by_sanic: bool) -> Run:
    port = str(free_port())
    command = [sys.executable, "-m", "sanic", "http_hooks:app", "--port", port] if by_sanic else None
    service: ServiceProcess = project.service("http_hooks", command=command, env={"XI_TEST_HTTP_PORT": port})
    with service:
        service.wait_ready(SOON)
        wait_until(lambda: "HOOK worker managed" in service.output(), SOON, what="the managed process")
        facts = service.client.get("/facts", timeout=SOON)
        others = [service.client.get(path, timeout=SOON) for path in ("/signals", "/fails", "/missing")]
        wait_until(lambda: "LookupError('of a task')" in service.output(), SOON, what="the report")
        status = service.terminate(SOON)
        wait_until(lambda: not service.survivors(), SOON, what="the end of all processes")
        output = service.output()
    noted = HOOK.findall(output)
    facts.raise_for_status()
    happened = [what for process, what in noted if process == "worker"]
    return Run(
        main=[what for process, what in noted if process == "main"],
        worker=[what for what in happened if not is_beside(what)],
        tasks={what for what in happened if is_beside(what)},
        facts=facts.json(),
        statuses=[response.status_code for response in others],
        headers=sorted(set().union(*(response.headers for response in (facts, *others)))),
        status=status,
        output=output,
    )


def is_beside(what: str) -> bool:
    """Whether it happens beside the rest of the process, in no order: tasks, reports and another process."""
    return what.startswith(("task", "report", "order", "managed"))


@pytest.fixture(scope="module")
def runs(make_project: Callable[[], Project]) -> tuple[Run, Run]:
    """By serve(), and by Sanic."""
    projects = make_project(), make_project()
    for project in projects:
        shutil.copy(HOOKS, project.directory)
    with ThreadPoolExecutor() as both:
        ours = both.submit(run, projects[0], by_sanic=False)
        theirs = both.submit(run, projects[1], by_sanic=True)
        return ours.result(), theirs.result()


@pytest.mark.parametrize("what", ["main", "worker", "tasks", "facts", "statuses", "headers", "status"])
def test_both_launchers_do_the_same(runs: tuple[Run, Run], what: str) -> None:
    ours, theirs = runs
    assert getattr(ours, what) == getattr(theirs, what)


def test_the_listeners_are_called_in_the_documented_order(runs: tuple[Run, Run]) -> None:
    assert runs[0].main == [
        "main_process_start of a blueprint",
        "main_process_start 1 1",
        "main_process_start with True",
        "main_process_ready",
        "main_process_stop 1",
        "main_process_stop, the second",
    ]
    assert [what for what in runs[0].worker if not what.startswith("server.")] == [
        "before_server_start by priority",
        "before_server_start 1",
        "before_server_start 2",
        "after_server_start 1",
        "after_server_start 2",
        "before_server_stop 2",
        "before_server_stop 1",
        "after_server_stop 2",
        "after_server_stop 1",
    ]


def test_tasks_run_wherever_they_are_added_and_end_with_the_service(runs: tuple[Run, Run]) -> None:
    added = ("module", "before_server_start", "after_server_start", "handler")
    assert {f"task of {where}" for where in added} <= runs[0].tasks
    assert "task that was pending ends" in runs[0].tasks
    assert runs[0].output.count("task that was pending ends") == 2  # one by cancel_task, one by the stop


def test_no_answer_has_an_empty_alt_svc(runs: tuple[Run, Run]) -> None:
    assert "alt-svc" not in runs[0].headers


def test_restarted_and_reloaded_workers_share_the_context_and_the_reload_has_its_listeners(project: Project) -> None:
    shutil.copy(HOOKS, project.directory)
    with project.service("http_hooks") as service:
        service.wait_ready(SOON)
        wait_until(lambda: " is serving." in service.output(), SOON, what="the start")
        pids = {count(service)["pid"]}
        assert service.client.get("/restart").status_code == 200
        wait_until(lambda: count(service)["pid"] not in pids, SOON, what="the worker that app.m.restart starts")
        pids.add(count(service)["pid"])
        os.kill(service.pid, signal.SIGHUP)
        wait_until(lambda: "after_reload_trigger" in service.output(), SOON, what="the reload")
        wait_until(lambda: service.output().count("managed hello") == 2, SOON, what="the transient process")
        last = count(service)
        assert last["pid"] not in pids
        assert last["count"] > len(pids)
        assert service.client.get("/stop").status_code == 200
        assert service.wait(SOON) == 0
        wait_until(lambda: not service.survivors(), SOON, what="the end of all processes")
        main = [what for process, what in HOOK.findall(service.output()) if process == "main"]
    assert main[-4:] == [
        "before_reload_trigger",
        "after_reload_trigger {'changed': set()}",
        f"main_process_stop {last['count']}",
        "main_process_stop, the second",
    ]


def count(service: ServiceProcess) -> dict[str, int]:
    """Count one request in the shared context, on a connection of its own."""
    response = httpx.get(f"{service.base_url}/count", timeout=SOON, trust_env=False, verify=NO_CERTIFICATES)
    counts: dict[str, int] = response.json()
    return counts


FAILING = """
from sanicbase import create_app, serve
from xi_test.config import config
from xi_test.url_main import http

app = create_app(config, http)

@app.main_process_start
async def start(app):
    {start}

@app.main_process_stop
async def stop(app):
    print("HOOK main main_process_stop", flush=True)

if __name__ == "__main__":
    serve(app)
"""


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("raise LookupError('no price list')", "LookupError: no price list"),
        (
            "app.shared_ctx.lock_of_a_thread = __import__('threading').Lock()",
            "Store only objects of multiprocessing in it",
        ),
        ("raise SystemExit('The price list is missing.')", "The price list is missing.\n"),
    ],
    ids=["exception", "shared_ctx", "SystemExit"],
)
def test_a_main_process_that_cannot_start_says_why_and_leaves_nothing(
    project: Project, start: str, message: str
) -> None:
    (project.directory / "http_failing.py").write_text(FAILING.format(start=start))
    with project.service("http_failing") as service:
        assert service.wait(SOON) == 1
        wait_until(lambda: not service.survivors() and not project.valkeys(), SOON, what="the end of all processes")
        assert message in service.output()
        assert service.output().count("HOOK main main_process_stop") == 1


def switch_on_the_inspector(app: App) -> None:
    app.config.INSPECTOR = True


def switch_on_auto_reload(app: App) -> None:
    app.auto_reload = True


def fork_workers(app: App) -> None:
    Sanic.start_method = "fork"


@pytest.mark.parametrize(
    ("ask", "named"),
    [(switch_on_the_inspector, "INSPECTOR"), (switch_on_auto_reload, "SIGHUP"), (fork_workers, "start_method")],
)
@pytest.mark.parametrize("locale", ["C", "zh_CN.UTF-8"])
def test_unknown_options_of_serve_are_refused(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[App], None], named: str, locale: str
) -> None:
    monkeypatch.setattr(Sanic, "start_method", Sanic.start_method)
    monkeypatch.setenv("LC_ALL", locale)
    app = create_app(config)
    refuse_unsupported(app)
    ask(app)
    with pytest.raises(ConfigError, match=named) as refused:
        refuse_unsupported(app)
    assert ("请" in str(refused.value)) == (locale != "C")


def test_requests_of_a_worker_to_the_main_process() -> None:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with ours, theirs:
        multiplexer = Multiplexer(theirs)
        multiplexer.restart("Sanic-Server-1-0")
        multiplexer.restart(all_workers=True, zero_downtime=True)
        multiplexer.terminate()
        assert [ours.recv_bytes() for _ in range(3)] == [b"restart Sanic-Server-1-0", b"restart ", b"terminate"]
        with pytest.raises(ValueError, match="Ambiguous"):
            multiplexer.restart("Sanic-Server-1-0", all_workers=True)


@pytest.mark.parametrize(
    "ask",
    [lambda m: m.scale(2), lambda m: m.manage("a", print, {}), lambda m: m.state, lambda m: m.workers],
    ids=["scale", "manage", "state", "workers"],
)
def test_a_forbidden_request_of_a_worker_names_the_remedy(ask: Callable[[Multiplexer], object]) -> None:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with ours, theirs, pytest.raises(NotImplementedError, match=r"WORKERS|app\.manager\.manage|app\.shared_ctx"):
        ask(Multiplexer(theirs))


@pytest.mark.parametrize("method", ["scale", "create_server", "shutdown_server"])
def test_the_manager_refuses_to_change_the_number_of_workers(method: str) -> None:
    ask = getattr(Manager(), method)
    with pytest.raises(ConfigError, match="WORKERS"):
        ask(2) if method == "scale" else ask()
