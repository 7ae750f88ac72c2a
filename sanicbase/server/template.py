"""The template process: it has imported the service, does nothing, and forks the workers.

A forked worker needs no imports, and shares the memory of the imported modules. The first template is forked from the
main process before the latter opens anything; those of reloads import the current code. A template waits on a socket
for requests of the main process, and ends with it: the socket is then closed, and the kernel sends the parent-death
signal.

Like spawned workers, forked ones are children of the main process, not of the template: otherwise they would end with
the template. The template therefore forks twice, and the intermediate process ends immediately: the kernel then
reparents the worker to the nearest subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), which the main process is for that
moment.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import NoReturn, Protocol

from sanicbase.process.parent import die_with_parent

__all__ = ["Prepare", "Template", "TemplateFailed", "UnsafeTemplate", "fork_template", "name_process", "spawn_template"]

PR_SET_CHILD_SUBREAPER = 36
BLOCKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if sys.platform != "win32" else ()
FORK_TIMEOUT = 10.0  # seconds that a fork may take; it takes milliseconds
BATCH = 200  # descriptors in one message; the kernel takes 253 (unix(7), SCM_RIGHTS)
READY = b"ready"
UNSAFE = b"unsafe "  # followed by the cause
STANDARD_STREAMS = (0, 1, 2)
INHERITED = ("Uid", "Gid", "Groups", "Umask", "CapEff", "NoNewPrivs", "Seccomp")  # lines of /proc/self/status

Prepare = Callable[[], object]
"""The modules that a template imports besides the launch file."""
Work = Callable[[Sequence[int]], int]
"""The function that a worker runs with the descriptors that it received; returns its exit status."""


class TemplateFailed(Exception):
    """A template has ended, does not respond, or could not be created. The message is the cause."""


class UnsafeTemplate(TemplateFailed):
    """The process must not be forked."""


class _Child(Protocol):
    """A child process, of multiprocessing or not."""

    @property
    def exitcode(self) -> int | None:
        """Its status, negative for a signal; None while it lives."""

    def join(self) -> None:
        """Wait for its end."""


class _ForkedChild:
    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._exit_code: int | None = None

    @property
    def exitcode(self) -> int | None:
        self._wait(os.WNOHANG)
        return self._exit_code

    def join(self) -> None:
        self._wait(0)

    def _wait(self, options: int) -> None:
        if self._exit_code is None:
            pid, status = os.waitpid(self._pid, options)
            self._exit_code = os.waitstatus_to_exitcode(status) if pid else None


class Template:
    """The main process's side of a template process. The supervisor owns it and calls all methods in its event loop.

    `control` is the only copy of this end of the socket, so the template ends when the main process does.
    """

    def __init__(self, pid: int, child: _Child, control: socket.socket) -> None:
        self.pid = pid
        self._child = child
        self._control = control
        self._inherited = _inherited_attributes()

    @property
    def exit_code(self) -> int | None:
        """The status of a template that has ended, negative for a signal; None while it lives."""
        return self._child.exitcode

    def fork(self, descriptors: Sequence[int]) -> int:
        """Fork a worker with these descriptors, as a child of this process; returns its pid. Raises TemplateFailed, and
        UnsafeTemplate when it would not inherit what it inherits from this process: a listener may have changed the
        account."""
        current = _inherited_attributes()
        if changed := [name for name, value in self._inherited.items() if value != current[name]]:
            raise UnsafeTemplate(f"the main process has changed what they inherit ({', '.join(changed)})")
        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            answer = self._ask(descriptors)
        except OSError as exc:
            raise TemplateFailed(f"the template process [{self.pid}] does not answer: {exc}") from exc
        finally:
            prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        if not answer.isdigit():
            raise TemplateFailed(answer.decode(errors="replace") or f"the template process [{self.pid}] has ended")
        return _check_child(int(answer))

    def _ask(self, descriptors: Sequence[int]) -> bytes:
        self._control.settimeout(FORK_TIMEOUT)
        self._control.sendall(b"%d" % len(descriptors))
        for start in range(0, len(descriptors), BATCH):
            socket.send_fds(self._control, [b"."], descriptors[start : start + BATCH])
        return self._control.recv(4096)

    async def ready(self, seconds: float) -> None:
        """Wait until it has imported the service. Raises TemplateFailed, UnsafeTemplate."""
        self._control.setblocking(False)
        try:
            async with asyncio.timeout(seconds):
                answer = await asyncio.get_running_loop().sock_recv(self._control, 4096)
        except TimeoutError as exc:
            raise TemplateFailed(f"was not ready within {seconds:g} seconds") from exc
        if answer.startswith(UNSAFE):
            raise UnsafeTemplate(answer.removeprefix(UNSAFE).decode())
        if not answer:
            self._child.join()
            raise TemplateFailed(f"ended with status {self.exit_code}")

    def end(self) -> None:
        """End it, and wait until it has ended. It may be called at any time. A template owns nothing, so it is
        killed."""
        self._control.close()
        if self.exit_code is None:
            with suppress(PermissionError):  # of another account than this process by now; it has noticed the end
                os.kill(self.pid, signal.SIGKILL)
            self._child.join()


def _inherited_attributes() -> dict[str, str]:
    """The attributes that a child inherits from this process besides memory and descriptors, and cannot set itself."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    limits = Path("/proc/self/limits").read_text()
    return {**{name: status.get(name, "") for name in INHERITED}, "limits": limits}


def _check_child(pid: int) -> int:
    """Raises UnsafeTemplate where the kernel has given the worker to another process."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        raise UnsafeTemplate("the kernel does not make the main process the parent of its workers") from None
    return pid


def fork_template(prepare: Prepare, work: Work) -> Template:
    """Fork this process, which has imported the service and opened nothing. Raises UnsafeTemplate."""
    prepare()
    if cause := _unsafe_cause():
        raise UnsafeTemplate(cause)
    parent_end, child_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    main_process = os.getpid()
    _freeze()
    for stream in (sys.stdout, sys.stderr):  # else what is buffered is written by each process
        stream.flush()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    pid = os.fork()
    if pid == 0:
        parent_end.close()
        _exit_after(lambda: _serve(child_end, main_process, work))
    child_end.close()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return Template(pid, _ForkedChild(pid), parent_end)


def spawn_template(prepare: Prepare, work: Work) -> Template:
    """Start a process that imports the current code and becomes a template. Await its `ready`, or call `end`."""
    parent_end, child_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = multiprocessing.get_context("spawn").Process(
        target=_run_template, args=(child_end, os.getpid(), prepare, work), name="sanicbase-template", daemon=True
    )
    resource_tracker.ensure_running()  # which would inherit the mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        child.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        child_end.close()
    return Template(child.pid or 0, child, parent_end)


def _run_template(control: socket.socket, main_process: int, prepare: Prepare, work: Work) -> None:
    """The target of a spawned process, which has imported the launch file."""
    prepare()
    if cause := _unsafe_cause(control.fileno()):
        control.sendall(UNSAFE + cause.encode())
        return
    _freeze()
    control.sendall(READY)
    _exit_after(lambda: _serve(control, main_process, work))


def _freeze() -> None:
    """Exclude all imported objects from garbage collection: the collector writes to each object that it visits, and
    processes share no memory that one of them has written to."""
    gc.freeze()


def _serve(control: socket.socket, main_process: int, work: Work) -> int:
    """Fork a worker for each request, until the main process ends. Signals are blocked: a terminal and service managers
    send theirs to all processes, and only the main process handles them."""
    name_process("sanic-template")
    die_with_parent()
    while os.getppid() == main_process and (request := control.recv(16)):
        descriptors = _receive(control, int(request))
        control.sendall(_fork_twice(control, work, descriptors))
        for descriptor in descriptors:
            os.close(descriptor)
    return 0


def _receive(control: socket.socket, count: int) -> list[int]:
    descriptors: list[int] = []
    while len(descriptors) < count:
        received = socket.recv_fds(control, 1, BATCH)[1]
        if not received:
            raise EOFError
        descriptors += received
    return descriptors


def _fork_twice(control: socket.socket, work: Work, descriptors: Sequence[int]) -> bytes:
    """Return the pid of a worker whose parent has ended, or what went wrong."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pids:
        try:
            with os.fdopen(writing, "wb"):
                between = os.fork()
                if between == 0:
                    _exit_after(lambda: _fork_worker((control.fileno(), reading, writing), work, descriptors))
                os.waitpid(between, 0)  # then the worker has its new parent
        except OSError as exc:
            return f"the template process cannot fork: {exc}".encode()
        return pids.read() or b"the template process cannot fork"


def _fork_worker(own: Sequence[int], work: Work, descriptors: Sequence[int]) -> int:
    """In the process between the template and the worker: fork the worker, and report its pid through the last one of
    the template's own descriptors, which the worker does not keep."""
    worker = os.fork()
    if worker == 0:
        for descriptor in own:
            os.close(descriptor)
        _exit_after(lambda: _work(work, descriptors))
    os.write(own[-1], b"%d" % worker)
    return 0


def _work(work: Work, descriptors: Sequence[int]) -> int:
    # A worker that does not handle SIGTERM yet has opened nothing. The other signals: see worker.py.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
    try:
        return work(descriptors)
    finally:
        atexit._run_exitfuncs()  # noqa: SLF001  (as multiprocessing does in such processes)


def _exit_after(call: Callable[[], int]) -> NoReturn:
    """End this process after the call, whatever it raises: it must not return to the code that it was forked in."""
    status = 1
    try:
        status = call()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _unsafe_cause(control: int = -1) -> str:
    """Why this process must not be forked; empty when it may be forked. `control` is a connection that it may have.

    A fork has only one thread, so locks of other threads are never released; and it shares the connections of its
    parent.
    """
    if sys.platform != "linux":
        return f"{sys.platform} has no subreapers"
    try:
        os.close(os.pidfd_open(os.getpid()))
        threads, descriptors = os.listdir("/proc/self/task"), os.listdir("/proc/self/fd")  # noqa: PTH208
    except (AttributeError, OSError) as exc:  # an old kernel, Python built for one, a sandbox
        return f"this system lacks pidfds or /proc ({exc})"
    if len(threads) > 1:
        others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        return f"the import of the service starts a thread ({', '.join(others) or 'not by Python'})"
    for descriptor in map(int, descriptors):
        if descriptor not in (*STANDARD_STREAMS, control) and (peer := _peer(descriptor)):
            return f"the import of the service opens a connection ({peer})"
    return ""


def _peer(descriptor: int) -> str:
    """The peer of a connection; empty for anything else."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            return str(connection.getpeername() or "of unnamed sockets")
    except OSError:  # no socket, or not connected
        return ""


def name_process(name: str) -> None:
    """Set the name that `ps -o comm` and `top` show, at most 15 characters; forks have the command line of their
    parent."""
    with suppress(OSError):  # without /proc, as on other systems
        Path("/proc/self/comm").write_text(name[:15])
