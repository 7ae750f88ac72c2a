"""IdleProcess: a process that Linux runs while a core would be idle (SCHED_IDLE).

A request that arrives takes the core from it at once. A thread of that policy would hold the GIL while it waits for a
core, and the event loop of its process would wait for the GIL.

| event | what happens |
|---|---|
| the process starts | the caller computes |
| no core becomes idle | after a second the caller computes, and asks the process again when it has answered |
| the process dies, or cannot be started | the caller computes, and the next call starts another |
| the process dies before its first answer | the caller computes, from then on |
| nothing is computed for a minute | the process ends |
| the owner ends or is killed | the process reads the end of its socket, and ends |
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

__all__ = ["IdleProcess", "main"]

T = TypeVar("T")

PATIENCE = 1.0  # seconds in which the process must have had its share of a core
SHARE = 0.25  # of a core
UNUSED = 60.0  # seconds after which the process ends
COMMAND = "import sys; sys.path[:] = sys.argv[2:]; from sanicbase.auth.idle_process import main; main()"


class IdleProcess:
    """One process, started when it is needed. Its owner is a thread."""

    def __init__(self) -> None:
        self._started: _Started | None = None
        self._is_busy = False  # with its start, or with what the caller has computed meanwhile
        self._has_answered = False
        self._is_usable = sys.platform == "linux"

    def compute(self, work: Callable[[], T]) -> T:
        """What `work` returns, or raises. It must be picklable, and may be called twice: by the process, and by the
        caller when no core is idle."""
        answer: tuple[T] | tuple[()] = ()
        if self._is_usable:
            try:
                answer = self._ask(work)
            except (OSError, EOFError):
                self._forget()
        return answer[0] if answer else work()

    def _ask(self, work: Callable[[], T]) -> tuple[T] | tuple[()]:
        """The result; nothing if the process is busy, starves or raises an exception."""
        if self._started is None:
            self._started, self._is_busy = _start(), True
        process, connection = self._started
        if self._is_busy and connection.poll(0):
            self._receive(connection)
        if self._is_busy:
            return ()
        connection.send(work)
        self._is_busy = True
        ran = _running_time(process.pid)
        while not connection.poll(PATIENCE):
            before, ran = ran, _running_time(process.pid)
            if ran - before < SHARE * PATIENCE:
                return ()
        answer: tuple[T] | tuple[()] = self._receive(connection)
        return answer

    def _receive(self, connection: Connection) -> Any:
        answer = connection.recv()
        self._is_busy, self._has_answered = False, True
        return answer

    def _forget(self) -> None:
        if self._started is not None:
            self._started.connection.close()
            self._started.process.kill()
            self._started.process.wait()
        self._started = None
        self._is_usable = self._has_answered


class _Started(NamedTuple):
    process: subprocess.Popen[bytes]
    connection: Connection


def _start() -> _Started:
    ours, theirs = Pipe()
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-c", COMMAND, str(theirs.fileno()), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,  # a Ctrl-C in the terminal is for the service
            )
        except BaseException:
            ours.close()
            raise
    return _Started(process, ours)


def _running_time(pid: int) -> float:
    """The seconds for which it has run."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def main() -> None:
    """Serve the owner whose socket's descriptor is on the command line."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with Connection(int(sys.argv[1])) as connection, suppress(EOFError, OSError):
        connection.send(())
        while connection.poll(UNUSED):
            connection.send(_result(connection.recv()))


def _result(work: Callable[[], object]) -> tuple[object, ...]:
    try:
        return (work(),)
    except Exception:
        return ()  # the owner calls it, and raises the exception
