"""A worker process, which the main process starts, monitors and stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.process import BaseProcess
from pickle import PicklingError

from sanicbase.alerts.reporting import Report
from sanicbase.config import Config
from sanicbase.metrics.shared_values import SharedValues
from sanicbase.metrics.slow import SlowEvent
from sanicbase.process.recycling import WorkerLimits
from sanicbase.server.channel import ALIVE, FAILED, READY, REPORT, RESTART, SLOW, TERMINATE
from sanicbase.server.context import App
from sanicbase.server.launcher import Launcher, describe_end
from sanicbase.server.template import TemplateFailed
from sanicbase.server.worker import run_worker
from sanicbase.top.snapshot import ProcessState

__all__ = ["Worker", "WorkerFailed", "limits_of"]

HANGING = 3.0  # seconds without a heartbeat; one is sent every second


class WorkerFailed(Exception):
    """A worker ended, or was not ready in time. The message is the worker's own, or contains its exit code."""


class Worker:
    """A worker process. The supervisor owns it and calls all methods in its event loop.

    With `check` it is ready only when all resources respond. It counts into `values`. `on_report` is called with each
    of its reports and its pid, and `on_slow` with each of its slow events.
    """

    def __init__(
        self,
        number: int,
        app: App,
        bound: socket.socket,
        launcher: Launcher,
        on_request: Callable[[bytes], None],
        *,
        check: bool,
        values: SharedValues,
        on_report: Callable[[Report, int], None] | None = None,
        on_slow: Callable[[SlowEvent], None] | None = None,
    ) -> None:
        self.number = number
        self.values = values
        """What it has counted."""
        self.requests = 0
        """How many requests it has served, where WORKER_MAX_REQUESTS is set."""
        self.name = f"Sanic-Server-{number}-0"  # as Sanic's manager names its workers
        self._on_request = on_request
        self._on_report = on_report
        self._on_slow = on_slow
        self._limits = limits_of(app.ctx.config)
        self._stop_requested = False
        self.started_at = self._last_heartbeat = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._reason = ""
        self._exit_code = 0
        self._channel, worker_end = Pipe(duplex=False)
        with worker_end:
            arguments = (app.name, app.ctx.bind_address, bound, app.shared_ctx.__dict__, worker_end, check, values)
            self._process = self._start(launcher, arguments)
        self.pid = self._process.pid or 0
        self._loop.add_reader(self._channel.fileno(), self._read)
        self._loop.add_reader(self._process.sentinel, self._note_end)

    @property
    def is_serving(self) -> bool:
        """Whether it is ready, has not ended, and was not stopped."""
        return self._ready.done() and not self._ended.done() and not self._stop_requested

    @property
    def state(self) -> ProcessState:
        """What it does, for a person who watches."""
        if self._stop_requested:
            return "draining"
        if not self.was_ready:
            return "starting"
        return "serving" if self.seconds_since_heartbeat() < HANGING else "hanging"

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

    def limit_exceeded(self) -> tuple[str, str] | None:
        """The limit that it has reached, and a description; None when it has reached none."""
        if self._limits is None:
            return None
        return self._limits.exceeded(self.pid, count=self.requests, age=time.monotonic() - self.started_at)

    def stop(self) -> None:
        """Let it drain and end. A worker that is still importing ends at once."""
        self._stop_requested = True
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self._signal(signal.SIGKILL)

    def _start(self, launcher: Launcher, arguments: tuple[object, ...]) -> BaseProcess:
        with _worker_name(self.name):
            try:
                return launcher.start(target=run_worker, args=arguments, name=self.name, daemon=True)
            except TemplateFailed as exc:
                raise WorkerFailed(f"could not be forked: {exc}") from exc
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
        elif message.startswith(ALIVE):
            self.requests = int(message.removeprefix(ALIVE) or 0)
        elif message.startswith(REPORT):
            if self._on_report is not None:
                self._on_report(Report.from_bytes(message.removeprefix(REPORT)), self.pid)
        elif message.startswith(SLOW):
            if self._on_slow is not None:
                self._on_slow(SlowEvent.from_bytes(message.removeprefix(SLOW)))
        elif message.startswith((RESTART, TERMINATE)):
            self._on_request(message)

    def _note_end(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self._read()
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        self._process.join()
        self._exit_code = self._process.exitcode or 0
        reason = self._reason or describe_end(self._exit_code)
        self._process.close()
        if not self._ready.done():
            self._ready.set_exception(WorkerFailed(reason))
            self._ready.exception()  # marks it as retrieved: nobody may await it
        self._ended.set_result(reason)


def limits_of(config: Config) -> WorkerLimits | None:
    """The limits of a new worker by the settings; None without any."""
    return WorkerLimits.draw(config.WORKER_MAX_REQUESTS, config.WORKER_MAX_AGE, config.WORKER_MAX_MEMORY)


@contextmanager
def _worker_name(name: str) -> Iterator[None]:
    """A child that starts inside the block finds its name in the variable that Sanic's own workers have."""
    os.environ["SANIC_WORKER_NAME"] = name
    try:
        yield
    finally:
        del os.environ["SANIC_WORKER_NAME"]
