"""A contender's process: started on one core, waited for, weighed, stopped."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.contenders import Contender
from benchmarks.harness.environments import python_of
from benchmarks.harness.paths import CONTENDERS, RESULTS
from benchmarks.harness.scenarios import Scenario
from benchmarks.harness.stores import Stores
from benchmarks.load.cpu import tree, tree_cpu_seconds

SERVER_CORE, LOAD_CORE = 0, 1
START_TIMEOUT = 180.0  # seconds; a thousand views take their time
STOP_TIMEOUT = 10.0


@dataclass(frozen=True)
class Server:
    """A server that answers: how long that took from its start, and how much CPU time, in seconds."""

    pid: int
    port: int
    first_answer: float
    start_cpu: float

    def memory(self) -> float:
        """The proportional set size of the process and its children, in megabytes."""
        return tree_memory(self.pid) / 1e6


Watch = Callable[[int], None]


def nobody(pid: int) -> None:
    """Watch nothing."""


@contextmanager
def serving(contender: Contender, scenario: Scenario, stores: Stores, watch: Watch = nobody) -> Iterator[Server]:
    """Start the contender for a scenario, and stop it as its supervisor would."""
    port = _free_port()
    begun = time.perf_counter()
    RESULTS.mkdir(exist_ok=True)
    log = RESULTS / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                python_of(contender.environment),
                *(part.format(port=port) for part in contender.command_for(scenario.kind)),
            ],
            cwd=CONTENDERS / contender.folder,
            env=environment_of(contender, scenario, stores, port),
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
        )
    try:
        watch(process.pid)
        _wait_for_answer(process, port, f"{contender.name} did not start", log)
        yield Server(process.pid, port, time.perf_counter() - begun, tree_cpu_seconds(process.pid))
    finally:
        _stop(process, contender.stop)


def environment_of(contender: Contender, scenario: Scenario, stores: Stores, port: int) -> dict[str, str]:
    """The variables of the process. Nothing else is taken over than what a program needs to run at all."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PORT": str(port),
        "VIEWS": str(scenario.views),
        "DB_URL": stores.db_url,
        "REDIS_URL": stores.redis_url,
        "PYTHONPATH": str(CONTENDERS / "shared"),
        **contender.variables,
    }


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, complaint: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{complaint}:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.005)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/plaintext")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        print(f"{process.args!r} did not stop in {STOP_TIMEOUT:.0f} seconds and is killed.")
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree_memory(pid: int) -> int:
    """The proportional set size of the process and its children, in bytes."""
    return sum(_pss(child) for child in tree(pid))


def _pss(pid: int) -> int:
    """In bytes; 0 of a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
