"""What those who watch a running service see: exact counts, whatever it does, and nothing for other accounts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sanicbase.metrics.instruments import SECONDS
from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from sanicbase.top.client import NotRunning, Reading, read_service
from sanicbase.top.figures import Figures, figures
from sanicbase.top.sockets import candidates
from tests.preloaded import PreloadedService, preloaded

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a service has no Unix socket on Windows")

SOON = 40.0
OTHER_ACCOUNT = 65534
SERVICE = """
import asyncio
import os
from sanic import Blueprint, text
from tortoise.connection import get_connection
from sanicbase import Config, create_app, serve
from sanicbase.metrics import collection

COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {}) SELECT count(*) FROM c"

class Settings(Config):
    SERVER_NAME = "watched"
    MODEL_LIST = []
    ENV = "test"
    DB_REPEATED_STATEMENTS = 0

routes = Blueprint("routes")

@routes.get("/things/<number:int>")
async def thing(request, number):
    return text("a" * number)

@routes.get("/slow/<name>")
async def slow(request, name):
    loop = asyncio.get_running_loop()
    begin, rows = loop.time(), 100_000
    while loop.time() - begin < 0.1:  # until one statement alone takes that long
        begin, rows = loop.time(), rows * 2
        await get_connection("default").execute_query(COUNT.format(rows))
    return text("", status=503)

@routes.get("/hooks")
async def hooks(request):
    return text(f"{len(request.app.ctx.response_hooks)} {len(request.stream.protocol.response_hooks)}")

if "SECONDS" in os.environ:  # for which everything is counted
    collection.DEMAND = float(os.environ["SECONDS"])
app = create_app(Settings(), routes)

if __name__ == "__main__":
    serve(app)
"""
SCRIPTS = """
import os
from datetime import timedelta
from sanicbase import Config, Timer, run_scripts

class Settings(Config):
    SERVER_NAME = "watched"
    MODEL_LIST = []

async def works() -> None: ...
async def fails() -> None: raise RuntimeError("no")

if __name__ == "__main__":
    timers = [Timer(works, every=1, name="works"), Timer(fails, every=1, name="fails"),
              Timer(works, every=timedelta(days=300), name="never")]
    run_scripts(Settings(), timers, processes=int(os.environ["PROCESSES"]))
"""


@contextmanager
def service(folder: Path, *, workers: int, **env: str) -> Iterator[ServiceProcess]:
    """The service, ready, with that many workers."""
    (folder / "watched").mkdir(exist_ok=True)
    file = folder / "serving.py"
    file.write_text(SERVICE)
    settings = {"WATCHED_DB_URL": "sqlite://:memory:", "WATCHED_WORKERS": str(workers), **env}
    with PreloadedService(file, cwd=folder, prefix="WATCHED_", env=settings) as process:
        process.wait_ready()
        wait_until(lambda: "watched_http is serving." in process.output(), SOON, what="the last worker")
        yield process


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with four workers, which the tests leave as it is."""
    with service(tmp_path_factory.mktemp("four"), workers=4) as process:
        yield process


def private(process: ServiceProcess) -> Path:
    return process.directory / ".sanicbase"


def sockets(folder: Path) -> list[Path]:
    """The sockets of running and of killed services."""
    return [path for candidate in candidates(folder) if candidate.is_dir() for path in candidate.glob("watched_*")]


def complete(folder: Path, *, but: Callable[[Reading], bool] = lambda _: True) -> Reading:
    """A reading in which all workers count everything."""
    found: list[Reading] = []

    def is_complete() -> bool:
        try:
            found.append(read_service(folder, "watched"))
        except NotRunning:
            return False
        return all(snapshot.is_complete for snapshot in found[-1].snapshots) and but(found[-1])

    wait_until(is_complete, SOON, what="workers that count")
    return found[-1]


def fresh(folder: Path) -> Reading:
    """A reading that was taken after this call began: all clients of a quarter of a second are sent the same."""
    begin = read_service(folder, "watched").snapshots[0].clock
    return complete(folder, but=lambda reading: reading.snapshots[0].clock > begin)


def command(process: ServiceProcess, *words: str, before: str = "") -> subprocess.Popen[bytes]:
    """`sanicGuider top`, in the folder of the service."""
    return subprocess.Popen(
        preloaded("-m", "sanicbase", "top", "watched", *words, before=before),
        cwd=process.directory, env=os.environ | {"LANG": "C.UTF-8", "TERM": "dumb"}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_figures_after_a_known_load_are_exact(four: ServiceProcess) -> None:
    folder = private(four)
    with ExitStack() as stack:
        clients = [
            stack.enter_context(
                httpx.Client(base_url=four.base_url, trust_env=False, verify=NO_CERTIFICATES, timeout=SOON)
            )
            for _ in range(8)
        ]
        for client in clients:  # their connections are older than the counting
            client.get("/things/1")
        before = fresh(folder)
        answers = [clients[number % 8].get(f"/things/{number % 7}") for number in range(120)]
        slow = [client.get("/slow/now") for client in clients[:2]]
        seen = figures("watched", before, fresh(folder))
    (app,) = seen.apps
    assert (app.requests, app.errors) == (122, 2)
    assert [worker.state for worker in seen.workers] == ["serving"] * 4
    assert sum(worker.requests or 0 for worker in seen.workers) == 122
    took = sorted(answer.elapsed.total_seconds() for answer in (*answers, *slow))  # more than the service itself
    assert app.p50 is not None
    assert app.p99 is not None
    assert 0 < app.p50 <= SECONDS[bisect_left(SECONDS, took[61])]
    assert 0.1 <= app.p99 <= SECONDS[bisect_left(SECONDS, took[-1])]  # two of 122 took 0.1 s or more
    assert all(worker.lag is not None and (worker.memory or 0) > 1_000_000 for worker in seen.workers)
    ids = {answer.headers["x-request-id"] for answer in slow}
    assert {found.request_id for found in seen.slow_requests if found.path == "/slow/now"} == ids
    assert {found.request_id for found in seen.slow_statements} >= ids
    assert all(found.statement.startswith("WITH RECURSIVE c(x) AS (SELECT ?") for found in seen.slow_statements)


KEYS = {
    "service": None, "moment": None, "seconds": None, "problems": None,
    "apps": {"name", "pid", "started", "requests", "requests_per_second", "p50", "p99", "errors"},
    "workers": {
        "app", "parent", "number", "pid", "state", "requests", "requests_per_second", "p50", "p99", "errors", "lag",
        "memory",
    },
    "databases": {"app", "database", "in_use", "idle", "waiting"},
    "caches": {"app", "model", "reads", "hit_share"},
    "timers": {"app", "timer", "next", "last_success", "succeeded", "failed"},
    "slow_requests": {"app", "moment", "seconds", "method", "status", "path", "request_id"},
    "slow_statements": {"app", "moment", "seconds", "database", "statement", "request_id"},
}  # fmt: skip
WITHOUT_RICH = "import sys; sys.modules['rich'] = None"


def test_a_script_gets_one_object_with_these_keys(four: ServiceProcess) -> None:
    fresh(private(four))  # a snapshot of before has not all requests of the service's start
    output, errors = command(four, "--once", "--json", "--interval", "0.5", before=WITHOUT_RICH).communicate(
        timeout=SOON
    )
    view = json.loads(output)
    assert errors == b""
    assert view.keys() == KEYS.keys()
    for name, keys in KEYS.items():
        assert keys is None or all(row.keys() == keys for row in view[name])
    assert view["service"] == "watched"
    assert view["seconds"] >= 0.5
    assert [worker["number"] for worker in view["workers"]] == [0, 1, 2, 3]
    assert view["apps"][0]["requests"] == 0


def test_without_a_terminal_the_view_is_plain_text(four: ServiceProcess) -> None:
    output, errors = command(four, "--once", "--interval", "0.5", before=WITHOUT_RICH).communicate(timeout=SOON)
    assert errors == b""
    lines = output.decode().splitlines()
    assert lines[2] == "Workers"
    assert lines[3].split() == ["process", "pid", "state", "requests/s", "p50", "p99", "errors", "lag", "memory"]
    assert [line.split()[:2] for line in lines[5:9]] == [["http", str(number)] for number in range(4)]


def test_clients_that_do_not_read_delay_nobody(four: ServiceProcess) -> None:
    (path,) = sockets(private(four))
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            try:
                client.connect(str(path))
            except BlockingIOError:
                break  # the queue of the socket is full
        assert four.client.get("/things/3").text == "aaa"
        assert len(complete(private(four)).snapshots) == 1


ASK = """
import os, socket, sys
if account := int(sys.argv[1]):
    os.setgroups([])
    os.setresgid(account, account, account)
    os.setresuid(account, account, account)
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(40)
    try:
        client.connect(sys.argv[2])
        print("received", client.recv(1000)[:1])
    except PermissionError:
        print("refused by the system")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")
def test_another_account_is_sent_nothing(four: ServiceProcess) -> None:
    (path,) = sockets(private(four))

    def ask(account: int) -> str:
        """What a client of that account is sent, whose working directory is the folder of the socket."""
        words = preloaded("-c", ASK, str(account), path.name)
        return subprocess.check_output(words, cwd=path.parent, text=True).strip()

    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
    assert ask(OTHER_ACCOUNT) == "refused by the system"
    path.parent.chmod(0o755)
    path.chmod(0o666)
    try:
        assert ask(0) == "received b'{'"
        assert ask(OTHER_ACCOUNT) == "received b''"
    finally:
        path.parent.chmod(0o700)
        path.chmod(0o600)


def test_requests_are_counted_while_somebody_watches_only(tmp_path: Path) -> None:
    with service(tmp_path, workers=1, SECONDS="2") as process:

        def wait_for(hooks: str) -> None:
            wait_until(lambda: process.client.get("/hooks").text == hooks, SOON, what=f"{hooks} hooks")

        app, connection = map(int, process.client.get("/hooks").text.split())
        read_service(private(process), "watched")
        wait_for(f"{app + 1} {connection + 1}")
        wait_for(f"{app} {connection}")


class Stream:
    """The views of `sanicGuider top --json`, as they come."""

    def __init__(self, process: ServiceProcess) -> None:
        self._command = command(process, "--json", "--interval", "0.5")
        self.views: list[dict[str, Any]] = []
        self.errors = ""
        self._threads = [threading.Thread(target=self._read_views), threading.Thread(target=self._read_errors)]

    def __enter__(self) -> Stream:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._command:
            self._command.send_signal(signal.SIGTERM)
            for thread in self._threads:
                thread.join()

    def _read_views(self) -> None:
        assert self._command.stdout is not None
        for line in self._command.stdout:
            self.views.append(json.loads(line))

    def _read_errors(self) -> None:
        assert self._command.stderr is not None
        for line in self._command.stderr:
            self.errors += line.decode()

    def counted(self) -> int:
        """The requests of all intervals."""
        return sum(view["apps"][0]["requests"] or 0 for view in self.views)

    def wait_for(self, pids: set[int]) -> None:
        wait_until(
            lambda: bool(self.views) and {worker["pid"] for worker in self.views[-1]["workers"]} == pids
            and self.views[-1]["apps"][0]["requests"] is not None,
            SOON, what="a view of the workers",
        )  # fmt: skip


def workers(process: ServiceProcess) -> set[int]:
    return {pid for pid in process.pids() if "sanic-worker" in Path(f"/proc/{pid}/comm").read_text()}


def test_the_view_survives_a_reload_a_kill_and_a_new_start(tmp_path: Path) -> None:
    with service(tmp_path, workers=1) as first, ExitStack() as stack:
        stream = stack.enter_context(Stream(first))
        old = workers(first)
        stream.wait_for(old)
        for _ in range(10):
            first.client.get("/things/3")
        os.kill(first.pid, signal.SIGHUP)
        wait_until(lambda: "Reloaded." in first.output(), SOON, what="the reload")
        for _ in range(10):
            first.client.get("/things/3")
        stream.wait_for(workers(first))
        assert workers(first) != old
        wait_until(lambda: stream.counted() >= 20, SOON, what="all requests")
        assert stream.counted() == 20
        assert first.kill() == -signal.SIGKILL
        (left,) = sockets(private(first))
        with pytest.raises(NotRunning, match="is not running in this folder"):
            read_service(private(first), "watched")
        wait_until(lambda: "watched is not running in this folder" in stream.errors, SOON, what="the message")
        with service(tmp_path, workers=1) as second:
            (new,) = sockets(private(second))
            assert new != left
            stream.wait_for(workers(second))
            with service(tmp_path, workers=1) as copy:  # of the same name, in the same folder
                stream.wait_for(workers(second) | workers(copy))
                assert len(sockets(private(copy))) == 2
                assert copy.terminate() == 0
            assert sockets(private(second)) == [new]


@pytest.mark.parametrize("processes", [1, 2])
def test_timers_are_seen_with_their_next_runs_and_last_successes(tmp_path: Path, processes: int) -> None:
    file = tmp_path / "running.py"
    file.write_text(SCRIPTS)
    env = {"WATCHED_DB_URL": "sqlite://:memory:", "PROCESSES": str(processes)}

    def view() -> Figures:
        return figures("watched", None, complete(private(process)))

    def has_run() -> bool:
        seen = {timer.timer: timer for timer in view().timers}
        return seen["works"].succeeded > 0 and seen["fails"].failed > 0

    with PreloadedService(file, cwd=tmp_path, prefix="WATCHED_", env=env) as process:
        wait_until(lambda: bool(sockets(private(process))), SOON, what="the socket")
        wait_until(has_run, SOON, what="runs of the timers")
        seen = view()
        fails, never, works = seen.timers
        assert len(seen.workers) == processes
        assert {worker.state for worker in seen.workers} == {"serving"}
        assert (works.app, works.timer, works.failed, fails.succeeded) == ("watched_srv", "works", 0, 0)
        assert fails.last_success is None
        assert works.last_success is not None
        assert works.next is not None
        assert works.last_success <= seen.moment <= works.next or (works.next - works.last_success).total_seconds() < 3
        assert never.next is not None
        assert (never.next - seen.moment).days < 300
        assert process.terminate() == 0
        assert sockets(private(process)) == []
