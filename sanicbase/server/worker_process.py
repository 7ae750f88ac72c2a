"""A worker process, as the main process starts, watches and stops it."""

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
from sanicbase.server.context import App
from sanicbase.server.worker import run_worker

__all__ = ["Worker", "WorkerFailed"]

# A spawned child imports the launch file again: it runs the current code, and inherits no locks of its parent.
_spawn = multiprocessing.get_context("spawn")


class WorkerFailed(Exception):
    """A worker ended, or was not ready in time. The message is its own or tells its exit code."""


class Worker:
    """A worker process. The supervisor owns it and calls all methods in its event loop.

    With `check` it is ready only when all resources answer.
    """

    def __init__(
        self, number: int, app: App, bound: socket.socket, on_request: Callable[[bytes], None], *, check: bool
    ) -> None:
        self.number = number
        self.name = f"Sanic-Server-{number}-0"  # as Sanic's manager names its workers
        self._on_request = on_request
        self._stop_requested = False
        self.started_at = self._last_heartbeat = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._reason = ""
        self._exit_code = 0
        self._channel, worker_end = _spawn.Pipe(duplex=False)
        self._process = _spawn.Process(
            target=run_worker,
            args=(app.name, app.ctx.bind_address, bound, app.shared_ctx.__dict__, worker_end, check),
            name=self.name,
            daemon=True,
        )
        self._start()
        self.pid = self._process.pid or 0
        worker_end.close()
        self._loop.add_reader(self._channel.fileno(), self._read)
        self._loop.add_reader(self._process.sentinel, self._note_end)

    @property
    def is_serving(self) -> bool:
        """Whether it is ready, has not ended, and was not stopped."""
        return self._ready.done() and not self._ended.done() and not self._stop_requested

    @property
    def was_ready(self) -> bool:
        """Whether it has been ready, and may have requests in flight."""
        return self._ready.done() and self._ready.exception() is None

    @property
    def was_terminated(self) -> bool:
        """Whether SIGTERM ended it while it was importing."""
        return self._exit_code == -signal.SIGTERM

    async def ready(self, seconds: float) -> None:
        """Return when it serves. Raises WorkerFailed when it ends, or is not ready within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._ready)
        except TimeoutError as exc:
            raise WorkerFailed(f"was not ready within {seconds:g} seconds") from exc

    async def ended(self) -> str:
        """Wait for its end, and return the reason as text."""
        return await asyncio.shield(self._ended)

    def seconds_since_heartbeat(self) -> float:
        """The seconds since its last message, including those that are still in the channel."""
        self._read()
        return time.monotonic() - self._last_heartbeat

    def stop(self) -> None:
        """Let it drain and end. A worker that is still importing ends at once."""
        self._stop_requested = True
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self._signal(signal.SIGKILL)

    def _start(self) -> None:
        with _worker_name(self.name):
            try:
                _start_with_signals_blocked(self._process)
            except (AttributeError, PicklingError, RuntimeError, TypeError) as exc:
                raise WorkerFailed(
                    f"cannot receive app.shared_ctx ({type(exc).__name__}: {exc}). Store only objects of "
                    "multiprocessing in it, created in main_process_start, and keep the rest in app.ctx"
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
                self._handle(self._channel.recv_bytes())
        except (EOFError, OSError):
            self._loop.remove_reader(
                self._channel.fileno()
            )  # the worker has closed its end; the sentinel reports the rest

    def _handle(self, message: bytes) -> None:
        self._last_heartbeat = time.monotonic()
        if message == READY and not self._ready.done():
            self._ready.set_result(None)
        elif message.startswith(FAILED):
            self._reason = message.removeprefix(FAILED).decode(errors="replace")
        elif message.startswith((RESTART, TERMINATE)):
            self._on_request(message)

    def _note_end(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self._read()
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        self._process.join()
        self._exit_code = self._process.exitcode or 0
        reason = self._reason or _describe(self._exit_code)
        self._process.close()
        if not self._ready.done():
            self._ready.set_exception(WorkerFailed(reason))
            self._ready.exception()  # marks it as retrieved: nobody may await it
        self._ended.set_result(reason)


@contextmanager
def _worker_name(name: str) -> Iterator[None]:
    """A child that starts inside the block finds its name in the variable that Sanic's own workers have."""
    os.environ["SANIC_WORKER_NAME"] = name
    try:
        yield
    finally:
        del os.environ["SANIC_WORKER_NAME"]


def _start_with_signals_blocked(process: SpawnProcess) -> None:
    """Start a process with the signals blocked that a terminal sends to all processes. The main process handles them.

    SIGTERM is not blocked. A worker that does not handle it yet has opened nothing, so the kernel may end it at once,
    and a stop does not wait for imports.
    """
    if sys.platform == "win32":
        process.start()
        return
    resource_tracker.ensure_running()  # which would inherit the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _describe(exit_code: int) -> str:
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with status {exit_code}"
