"""IdleProcess: it computes while a core would be idle, and whatever happens to it, the caller gets its result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sanicbase.auth import idle_process as module
from sanicbase.auth.idle_process import IdleProcess
from sanicbase.testing import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SCHED_IDLE is Linux's.")

OWNER = """
import os, sys, time
from sanicbase.auth.idle_process import IdleProcess

process = IdleProcess()
while (pid := process.compute(os.getpid)) == os.getpid():
    time.sleep(0.01)
print(pid, flush=True)
sys.stdin.read()
"""


def has_ended(pid: int) -> bool:
    """Whether it has ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def pid_of(process: IdleProcess) -> int:
    """Wait until it computes. The caller does so meanwhile."""
    wait_until(lambda: process.compute(os.getpid) != os.getpid(), 60, what="the start of the process")
    return process.compute(os.getpid)


@pytest.fixture(autouse=True)
def never_starving(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may not leave a share of a core."""
    monkeypatch.setattr(module, "SHARE", -1.0)


@pytest.fixture
def process() -> Iterator[IdleProcess]:
    process = IdleProcess()
    yield process
    process._forget()


def test_the_caller_computes_while_the_process_starts(process: IdleProcess) -> None:
    assert process.compute(os.getpid) == os.getpid()
    assert pid_of(process) != os.getpid()


def test_it_runs_while_a_core_would_be_idle_and_the_caller_keeps_its_policy(process: IdleProcess) -> None:
    pid_of(process)
    assert process.compute(partial(os.sched_getscheduler, 0)) == os.SCHED_IDLE
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_it_has_one_thread_and_imports_no_sanic(process: IdleProcess) -> None:
    pid = pid_of(process)
    assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
    assert "sanic" not in process.compute(partial(eval, "__import__('sys').modules.keys() & {'sanic'}"))


def test_an_exception_is_raised_by_the_caller(process: IdleProcess) -> None:
    pid = pid_of(process)
    with pytest.raises(ZeroDivisionError):
        process.compute(partial(divmod, 1, 0))
    assert pid_of(process) == pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_was_killed_is_replaced(number: signal.Signals, process: IdleProcess) -> None:
    pid = pid_of(process)
    os.kill(pid, number)
    wait_until(lambda: has_ended(pid), 60, what="the end of the process")
    assert process.compute(os.getpid) == os.getpid()
    assert pid_of(process) not in {pid, os.getpid()}


def test_a_process_that_dies_while_it_computes_costs_no_result(process: IdleProcess) -> None:
    pid = pid_of(process)
    assert process.compute(partial(kill_unless, os.getpid())) == os.getpid()
    assert pid_of(process) != pid


def kill_unless(pid: int) -> int:
    if os.getpid() != pid:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def test_when_no_core_is_idle_the_caller_computes_until_the_process_has_answered(
    process: IdleProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = pid_of(process)
    monkeypatch.setattr(module, "SHARE", 0.25)
    os.kill(pid, signal.SIGSTOP)  # so it has no share of a core
    try:
        assert [process.compute(os.getpid) for _ in range(3)] == [os.getpid()] * 3
    finally:
        os.kill(pid, signal.SIGCONT)
    assert pid_of(process) == pid


def test_long_work_is_waited_for_as_long_as_it_runs(process: IdleProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = pid_of(process)
    monkeypatch.setattr(module, "PATIENCE", 0.02)
    assert process.compute(long_work) == pid


def long_work() -> int:
    time.sleep(0.1)
    return os.getpid()


def test_one_that_cannot_be_started_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    process = IdleProcess()
    with monkeypatch.context() as missing:
        missing.setattr(sys, "executable", "/nowhere/python")
        assert process.compute(os.getpid) == os.getpid()
    assert not process._is_usable
    assert process.compute(os.getpid) == os.getpid()


def test_one_that_ends_at_its_start_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    process = IdleProcess()
    monkeypatch.setattr(module, "COMMAND", "raise SystemExit")
    wait_until(lambda: process.compute(os.getpid) == os.getpid() and not process._is_usable, 60, what="its end")
    assert process._started is None
    assert process.compute(os.getpid) == os.getpid()
    assert process._started is None


def test_it_ends_when_nothing_is_computed(process: IdleProcess) -> None:
    pid = pid_of(process)
    process.compute(partial(exec, "from sanicbase.auth import idle_process; idle_process.UNUSED = 0.01"))
    wait_until(lambda: has_ended(pid), 60, what="the end of the process")
    assert pid_of(process) != pid


@pytest.mark.parametrize("ending", ["ends", "is killed"])
def test_it_ends_with_its_owner(ending: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        if ending == "is killed":
            owner.kill()
    wait_until(lambda: has_ended(pid), 60, what="the end of the process")
