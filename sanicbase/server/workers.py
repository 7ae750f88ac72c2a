"""One worker as its main process sees it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from pickle import PicklingError

from sanicbase.server.channel import FAILED, READY, RESTART, TERMINATE
from sanicbase.server.worker import run_worker
from sanicbase.typing import App

__all__ = ["Worker", "WorkerFailed"]

# A child that is spawned imports the launch file anew: it has this moment's code, and no lock of its parent's.
_spawn = multiprocessing.get_context("spawn")


class WorkerFailed(Exception):
    """A worker ended or fell silent before it was ready; the reason is in its words or by its exit code."""


class Worker:
    """A process that serves. Owned by the supervisor, in whose event loop all of its methods are called.

    With `check` it is ready only when all resources answer.
    """

    def __init__(
        self, number: int, app: App, bound: socket.socket, obey: Callable[[bytes], None], *, check: bool
    ) -> None:
        self.number = number
        self.name = f"Sanic-Server-{number}-0"  # as Sanic's manager names its workers
        self._obey = obey
        self.told = False
        self.born = self.last_sign = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._reason = ""
        self._exit_code = 0
        self._channel, theirs = _spawn.Pipe(duplex=False)
        self._process = _spawn.Process(
            target=run_worker,
            args=(app.name, app.ctx.listening, bound, app.shared_ctx.__dict__, theirs, check),
            name=self.name,
            daemon=True,
        )
        self._start()
        self.pid = self._process.pid or 0
        theirs.close()
        self._loop.add_reader(self._channel.fileno(), self._read)
        self._loop.add_reader(self._process.sentinel, self._note_end)

    @property
    def is_serving(self) -> bool:
        """Whether it is ready, and neither ended nor told to."""
        return self._ready.done() and not self._ended.done() and not self.told

    @property
    def has_served(self) -> bool:
        """Whether it has been ready, and may have requests in flight."""
        return self._ready.done() and self._ready.exception() is None

    @property
    def was_terminated(self) -> bool:
        """Whether SIGTERM ended it while it was importing."""
        return self._exit_code == -signal.SIGTERM

    async def ready(self, seconds: float) -> None:
        """Return when it serves. Raises WorkerFailed when it ended, or is not ready in so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._ready)
        except TimeoutError as exc:
            raise WorkerFailed(f"was not ready within {seconds:g} seconds") from exc

    async def ended(self) -> str:
        """Return how it ended, in words, once it has."""
        return await asyncio.shield(self._ended)

    def silent_for(self) -> float:
        """The seconds since its last sign of life, whatever waits in the channel counted."""
        self._read()
        return time.monotonic() - self.last_sign

    def stop(self) -> None:
        """Have it drain and end. A worker that still imports ends at once."""
        self.told = True
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _start(self) -> None:
        with _named(self.name):
            try:
                _start_deaf(self._process)
            except (AttributeError, PicklingError, RuntimeError, TypeError) as exc:
                raise WorkerFailed(
                    f"cannot be given what is in app.shared_ctx ({type(exc).__name__}: {exc}). Put objects of "
                    "multiprocessing into it, made in main_process_start, and keep the rest in app.ctx"
                ) from exc

    def _signal(self, number: signal.Signals) -> None:
        if not self._ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _read(self) -> None:
        if self._channel.closed:
            return
        try:
            while self._channel.poll():
                self._take(self._channel.recv_bytes())
        except (EOFError, OSError):
            self._loop.remove_reader(self._channel.fileno())  # its end is closed; the sentinel tells the rest

    def _take(self, message: bytes) -> None:
        self.last_sign = time.monotonic()
        if message == READY and not self._ready.done():
            self._ready.set_result(None)
        elif message.startswith(FAILED):
            self._reason = message.removeprefix(FAILED).decode(errors="replace")
        elif message.startswith((RESTART, TERMINATE)):
            self._obey(message)

    def _note_end(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self._read()
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        self._process.join()
        self._exit_code = self._process.exitcode or 0
        how = self._reason or _words(self._exit_code)
        self._process.close()
        if not self._ready.done():
            self._ready.set_exception(WorkerFailed(how))
            self._ready.exception()  # it need not be awaited
        self._ended.set_result(how)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """A child that starts inside of the block finds its name where Sanic's own workers do, from its first import on."""
    os.environ["SANIC_WORKER_NAME"] = name
    try:
        yield
    finally:
        del os.environ["SANIC_WORKER_NAME"]


def _start_deaf(process: SpawnProcess) -> None:
    """Start a process that does not hear what a terminal tells all processes of a service. The main process decides.

    SIGTERM is not blocked. Until the worker handles it, it has opened nothing, so the kernel ends it at once; a stop
    does not wait for imports.
    """
    if sys.platform == "win32":
        process.start()
        return
    resource_tracker.ensure_running()  # which would inherit it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _words(exit_code: int) -> str:
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with status {exit_code}"
