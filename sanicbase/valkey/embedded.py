"""The embedded Valkey: one real server per project directory, shared by all processes of all its services.

Whoever holds the lock file runs the server. The kernel drops the lock when that process is gone, even by
`kill -9`; the others look at it five times a second, and one of them takes over. A server that was taken
over or started again is empty: nothing is ever written to disk.
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

from filelock import FileLock, Timeout

from sanicbase.errors import ResourceError
from sanicbase.private_directory import access_problem, make_private_directory
from sanicbase.valkey.server import Home, Server, refusal, valkey_binary

__all__ = ["EmbeddedValkey"]

logger = logging.getLogger("sanicbase.valkey")

_START = 8.0  # seconds until a server has to answer
_ASK = 0.02  # seconds between two questions to a server that starts
_POLL = 0.2  # seconds between two looks at the lock, or at the server
_LONGEST_PAUSE = 5.0  # seconds: what the back-off grows to
_STEADY = 10.0  # seconds: a server that lived this long starts the back-off anew
_PATIENCE = 5.0  # seconds between SIGTERM and SIGKILL


class _OwnerLock:
    """The right to run the server: filelock's lock of a file, which holds the pid of its owner."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: os.stat_result | None = None
        self._lock = FileLock(
            path, mode=0o600, fallback_to_soft=False, preserve_lock_file=True, on_acquired=self._write_pid
        )

    def acquire(self) -> bool:
        """Take the lock if it is free."""
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


class _Keeper(threading.Thread):
    """Waits for the lock and runs the server, whose parent-death signal follows this thread."""

    def __init__(self, home: Home, binary: Path) -> None:
        super().__init__(name="sanicbase-valkey", daemon=True)
        self.pid = os.getpid()
        self.stopping = threading.Event()
        self.owner = False
        self.failure: str | None = None
        self.lock = _OwnerLock(home.directory / "valkey.lock")
        self._home, self._binary = home, binary

    def run(self) -> None:
        pause = _POLL
        while not self.stopping.is_set():
            wait, began = _POLL, time.monotonic()
            try:
                self._take_turn()
            except ResourceError as exc:
                wait = pause = _POLL if time.monotonic() - began > _STEADY else min(pause * 2, _LONGEST_PAUSE)
                logger.warning("%s It is tried again in %.1f seconds.", exc, wait)
                self.failure = str(exc)
            self.stopping.wait(wait)

    def _take_turn(self) -> None:
        """One try at the lock and, if it is ours, the life of one server. Who waits may run the next one."""
        try:
            self._home.make()
            self.owner = self.lock.acquire()
            if self.owner:
                self._serve(Server(self._home, self._binary))
        except OSError as exc:
            cause = f"The embedded Valkey cannot be kept running ({exc}): correct that"
            if isinstance(exc, PermissionError) and exc.filename and (found := access_problem(Path(exc.filename))):
                cause = f"The embedded Valkey cannot be kept running: {found.cause}. {found.remedy}"
            raise refusal(cause, self._home.setting) from exc
        finally:
            self.owner = False
            self.lock.release()

    def _serve(self, server: Server) -> None:
        try:
            while server.status() is None and self.lock.is_in_place() and not self.stopping.wait(_POLL):
                pass
            if server.status() is not None and not self.stopping.is_set():
                lines = self._home.log.read_text(errors="replace").strip().splitlines()
                cause = f"The embedded Valkey ended by itself (status {server.status()})"
                cause = f"{cause}, its last line is {lines[-1]!r}" if lines else f"{cause} without a word"
                raise refusal(f"{cause}: see {self._home.log}", self._home.setting)
        finally:
            # Asked to end, a server removes its socket; without the lock, that may be the next owner's.
            server.end(_PATIENCE if self.lock.is_in_place() else 0)


class _Attempt:
    """Waiting for the first answer of a server."""

    def __init__(self, keeper: _Keeper, timeout: float, setting: str) -> None:
        self._keeper = keeper
        self._timeout = timeout
        self._setting = setting
        self._deadline = time.monotonic() + timeout

    @property
    def patience(self) -> float:
        """The seconds that one question may take."""
        return min(0.5, max(0.01, self._deadline - time.monotonic()))

    def check(self) -> None:
        """Raises ResourceError when there is no answer to wait for any more."""
        keeper = self._keeper
        if keeper.stopping.is_set():
            raise ResourceError("The embedded Valkey was stopped before it answered: start it again.")
        if keeper.failure is not None:
            raise ResourceError(keeper.failure)
        if time.monotonic() > self._deadline:
            holder = "this process" if keeper.owner else keeper.lock.owner()
            cause = f"No embedded Valkey answered within {self._timeout:g} seconds, and {holder} holds the lock"
            raise refusal(f"{cause} {keeper.lock.path}: end it", self._setting)


class EmbeddedValkey:
    """A Valkey that all processes of a project share, without anybody having to run one.

    Nothing is kept over a restart or a take-over, and nothing outlives the owner. `directory` is the private
    folder of the project (`<project>/.sanicbase`), made by `start` and closed to others; error messages
    recommend `setting`, or `stores` when the folder cannot be used: the settings of all that is kept in it. In
    a forked child it is as if it had never been started.
    """

    def __init__(self, directory: Path, *, setting: str = "REDIS_URL", stores: str = "") -> None:
        self._directory = directory.absolute()
        self._setting = setting
        self._stores = stores or setting
        self._keeper: _Keeper | None = None

    @functools.cached_property
    def _home(self) -> Home:
        return Home(self._directory.resolve(), self._setting, self._stores)

    @property
    def url(self) -> str:
        """The address for redis-py, `unix:///…/valkey.sock`, whoever is the owner."""
        return f"unix://{quote(str(self._home.socket))}"

    @property
    def is_owner(self) -> bool:
        """Whether it is this object that runs the server now; true of another one when the owner goes."""
        keeper = self._running()
        return keeper is not None and keeper.owner

    def start(self, timeout: float = _START) -> None:
        """Return once a server answers, ours or another process's; blocks for `timeout` seconds at most.

        Raises `ResourceError` when none does. Then, and when interrupted, it leaves nothing running.
        """
        with self._starting(timeout) as attempt:
            while not _answers(self._home.socket, attempt.patience):
                attempt.check()
                time.sleep(_ASK)

    async def open(self) -> None:
        """`start` for an event loop: it can be cancelled at any moment, and leaves nothing running then."""
        with self._starting(_START) as attempt:
            while not await asyncio.to_thread(_answers, self._home.socket, attempt.patience):
                attempt.check()
                await asyncio.sleep(_ASK)

    def stop(self) -> None:
        """Return when our server, if we are the owner, is gone and the lock is free; twice does no harm."""
        keeper = self._running()
        if keeper is not None:
            keeper.stopping.set()
            if keeper.is_alive():
                keeper.join()

    def _running(self) -> _Keeper | None:
        return self._keeper if self._keeper is not None and self._keeper.pid == os.getpid() else None

    def _keep(self) -> _Keeper:
        binary = valkey_binary(setting=self._setting)
        make_private_directory(self._directory, setting=self._stores)  # before it is resolved: no links
        self._keeper = keeper = _Keeper(self._home, binary)
        keeper.start()
        return keeper

    @contextlib.contextmanager
    def _starting(self, timeout: float) -> Iterator[_Attempt]:
        try:
            keeper = self._running()
            if keeper is None or keeper.stopping.is_set():
                keeper = self._keep()
            yield _Attempt(keeper, timeout, self._setting)
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
