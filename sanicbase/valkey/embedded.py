"""The embedded Valkey: one server per project directory, shared by all processes of its services.

The process that holds the lock file runs the server. The kernel releases the lock when that process ends, even by `kill
-9`; the others try to take it five times a second, and one of them takes over. The new server is empty: nothing is
written to disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from sanicbase.errors import ResourceError
from sanicbase.private_directory import access_problem, make_private_directory
from sanicbase.valkey.server import Server, ServerPaths, startup_error, valkey_binary

__all__ = ["EmbeddedValkey"]

logger = logging.getLogger("sanicbase.valkey")

_START_TIMEOUT = 8.0  # seconds for the server to answer
_PING_INTERVAL = 0.02  # seconds between two pings of a starting server
_POLL_INTERVAL = 0.2  # seconds between two checks of the lock or the server
_MAX_PAUSE = 5.0  # seconds, the longest back-off
_STABLE_AFTER = 10.0  # seconds; a server that ran this long resets the back-off
_STOP_TIMEOUT = 5.0  # seconds between SIGTERM and SIGKILL


class _OwnerLock:
    """The right to run the server: filelock's lock of a file, which holds the pid of its owner."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: os.stat_result | None = None
        from filelock import FileLock  # with which a service without an embedded store does nothing

        self._lock = FileLock(
            path, mode=0o600, fallback_to_soft=False, preserve_lock_file=True, on_acquired=self._write_pid
        )

    def acquire(self) -> bool:
        """Take the lock if it is free."""
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return self.is_in_place()

    def is_in_place(self) -> bool:
        """False once the file was removed or replaced (`git clean`): another process may lock the next one."""
        with contextlib.suppress(OSError):
            return self._file is not None and os.path.samestat(self._file, self.path.stat())
        return False

    def owner(self) -> str:
        """The process that has the lock, for error messages."""
        try:
            return f"process {int(self.path.read_text())}"
        except (OSError, ValueError):
            return "another process"

    def release(self) -> None:
        self._file = None
        self._lock.release()

    def _write_pid(self, fd: int) -> None:
        self._file = os.fstat(fd)
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)


class _OwnerThread(threading.Thread):
    """Waits for the lock and runs the server, whose parent-death signal belongs to this thread."""

    def __init__(self, paths: ServerPaths, binary: Path) -> None:
        super().__init__(name="sanicbase-valkey", daemon=True)
        self.pid = os.getpid()
        self.stopping = threading.Event()
        self.owner = False
        self.failure: str | None = None
        self.lock = _OwnerLock(paths.directory / "valkey.lock")
        self._paths, self._binary = paths, binary

    def run(self) -> None:
        pause = _POLL_INTERVAL
        while not self.stopping.is_set():
            wait, started = _POLL_INTERVAL, time.monotonic()
            try:
                self._try_to_own()
            except ResourceError as exc:
                wait = pause = (
                    _POLL_INTERVAL if time.monotonic() - started > _STABLE_AFTER else min(pause * 2, _MAX_PAUSE)
                )
                logger.warning("%s Retrying in %.1f seconds.", exc, wait)
                self.failure = str(exc)
            self.stopping.wait(wait)

    def _try_to_own(self) -> None:
        """Try to take the lock and, with it, run one server until it ends."""
        try:
            self._paths.make()
            self.owner = self.lock.acquire()
            if self.owner:
                self._serve(Server(self._paths, self._binary))
        except OSError as exc:
            cause = f"The embedded Valkey cannot run ({exc}): correct that"
            if isinstance(exc, PermissionError) and exc.filename and (problem := access_problem(Path(exc.filename))):
                cause = f"The embedded Valkey cannot run: {problem.cause}. {problem.remedy}"
            raise startup_error(cause, self._paths.setting) from exc
        finally:
            self.owner = False
            self.lock.release()

    def _serve(self, server: Server) -> None:
        try:
            while server.status() is None and self.lock.is_in_place() and not self.stopping.wait(_POLL_INTERVAL):
                pass
            if server.status() is not None and not self.stopping.is_set():
                lines = self._paths.log.read_text(errors="replace").strip().splitlines()
                cause = f"The embedded Valkey ended unexpectedly (status {server.status()})"
                cause = f"{cause}, its last line is {lines[-1]!r}" if lines else f"{cause} without output"
                raise startup_error(f"{cause}: see {self._paths.log}", self._paths.setting)
        finally:
            # SIGTERM makes the server remove its socket, which without the lock may be the next owner's.
            server.end(_STOP_TIMEOUT if self.lock.is_in_place() else 0)


class _StartAttempt:
    """The wait for the first answer of a server."""

    def __init__(self, thread: _OwnerThread, timeout: float, setting: str) -> None:
        self._thread = thread
        self._timeout = timeout
        self._setting = setting
        self._deadline = time.monotonic() + timeout

    @property
    def timeout(self) -> float:
        """The timeout of one ping, in seconds."""
        return min(0.5, max(0.01, self._deadline - time.monotonic()))

    def check(self) -> None:
        """Raise ResourceError when the wait has failed."""
        thread = self._thread
        if thread.stopping.is_set():
            raise ResourceError("The embedded Valkey was stopped before it answered. Start it again.")
        if thread.failure is not None:
            raise ResourceError(thread.failure)
        if time.monotonic() > self._deadline:
            holder = "this process" if thread.owner else thread.lock.owner()
            cause = f"No embedded Valkey answered within {self._timeout:g} seconds, and {holder} holds the lock"
            raise startup_error(f"{cause} {thread.lock.path}: end it", self._setting)


class EmbeddedValkey:
    """A Valkey that all processes of a project share, and that one of them runs.

    No data survives a restart or a takeover, and no server outlives its owner. `directory` is the private folder of the
    project (`<project>/.sanicbase`), created by `start` with mode 0700. Error messages recommend `setting`, or
    `stores`, the settings of all stores in the folder, when the folder cannot be used. A forked child has not started
    it.
    """

    def __init__(self, directory: Path, *, setting: str = "REDIS_URL", stores: str = "") -> None:
        self._directory = directory.absolute()
        self._setting = setting
        self._stores = stores or setting
        self._thread: _OwnerThread | None = None

    @functools.cached_property
    def _paths(self) -> ServerPaths:
        return ServerPaths(self._directory.resolve(), self._setting, self._stores)

    @property
    def url(self) -> str:
        """The address for redis-py, `unix:///…/valkey.sock`, whichever process is the owner."""
        return f"unix://{quote(str(self._paths.socket))}"

    @property
    def is_owner(self) -> bool:
        """Whether this object runs the server now; it may become true when the owner ends."""
        thread = self._running_thread()
        return thread is not None and thread.owner

    def start(self, timeout: float = _START_TIMEOUT) -> None:
        """Return when a server answers, of this process or another one; blocks up to `timeout` seconds.

        Raises `ResourceError` when none does. Then, and when interrupted, nothing stays running.
        """
        with self._starting(timeout) as attempt:
            while not _answers(self._paths.socket, attempt.timeout):
                attempt.check()
                time.sleep(_PING_INTERVAL)

    async def open(self) -> None:
        """`start` for an event loop. After a cancellation nothing stays running."""
        with self._starting(_START_TIMEOUT) as attempt:
            while not await asyncio.to_thread(_answers, self._paths.socket, attempt.timeout):
                attempt.check()
                await asyncio.sleep(_PING_INTERVAL)

    def stop(self) -> None:
        """Stop the server if this object is the owner, and release the lock; may be called twice."""
        thread = self._running_thread()
        if thread is not None:
            thread.stopping.set()
            if thread.is_alive():
                thread.join()

    def _running_thread(self) -> _OwnerThread | None:
        return self._thread if self._thread is not None and self._thread.pid == os.getpid() else None

    def _start_thread(self) -> _OwnerThread:
        binary = valkey_binary(setting=self._setting)
        # Before the path is resolved, since a symbolic link is refused.
        make_private_directory(self._directory, setting=self._stores)
        self._thread = thread = _OwnerThread(self._paths, binary)
        thread.start()
        return thread

    @contextlib.contextmanager
    def _starting(self, timeout: float) -> Iterator[_StartAttempt]:
        try:
            thread = self._running_thread()
            if thread is None or thread.stopping.is_set():
                thread = self._start_thread()
            yield _StartAttempt(thread, timeout, self._setting)
        except BaseException:
            self.stop()
            raise


def _answers(path: Path, timeout: float) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False
