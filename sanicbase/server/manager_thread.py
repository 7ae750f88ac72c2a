"""The metrics, the alerts and the view of a service under the `sanic` command: a thread of its main process, which has
no event loop of its own.

Sanic pickles the arguments of each worker when it spawns it, `app.shared_ctx` among them. An object there is pickled as
values of metrics for that worker alone, and as the writing end of a pipe. The worker counts into the values from then
on, before it imports the service, and writes its reports into the pipe. When it has ended, whatever ended it, the main
process reads the end of the pipe.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import context, reduction
from threading import Thread
from typing import Any

from sanicbase.alerts.dispatcher import Dispatcher, open_alerts
from sanicbase.alerts.reporting import Report, send_reports_to
from sanicbase.metrics.collection import Collection
from sanicbase.metrics.endpoint import open_metrics
from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.sampling import sample
from sanicbase.metrics.shared_values import SharedValues
from sanicbase.metrics.slow import SlowEvent, send_slow_to
from sanicbase.server.context import App
from sanicbase.server.metrics import WorkerState, clear_worker_gauges, set_main_process_gauges, set_worker_gauges
from sanicbase.top.endpoint import serve_view
from sanicbase.top.snapshot import Process, ProcessState, RecentSlow, View

__all__ = ["ManagerThread", "sample_for_main_process"]

NAME = "sanicbase_main_process"  # in `app.shared_ctx`
POLL = 0.02  # seconds
ADD_TIMEOUT = 5.0  # seconds that the loop has to answer; it may end before it does
SPAWN_TIMEOUT = 60.0  # seconds that a spawn may take, which takes milliseconds

# Those of a worker.
_values: SharedValues | None = None
_pipe = -1


class ManagerThread:
    """Serves the metrics of an app and sends its alerts, from `start` until `stop`, if its settings ask for either.

    With metrics, it serves the view as well. Without them, requests would have to be counted on demand, for which a
    worker needs to reach its open connections; those of Sanic's workers are Sanic's.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    def start(self) -> None:
        """Start before the first worker. Raises as `open_metrics`."""
        if self._app.ctx.metrics_address is None and self._app.ctx.alert_hook is None:
            return
        workers = Future[_Workers]()
        self._thread = Thread(target=lambda: asyncio.run(self._serve(workers)), name=NAME, daemon=True)
        self._thread.start()
        self._app.shared_ctx.__dict__[NAME] = _Passed(workers.result())

    def stop(self) -> None:
        """End the thread after the last alert was sent; may be called at any time."""
        if self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    async def _serve(self, started: Future[_Workers]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        address, hook = self._app.ctx.metrics_address, self._app.ctx.alert_hook
        try:
            async with open_metrics(address) as metrics, open_alerts(hook, self._app.name) as alerts:
                workers = _Workers(metrics, alerts)
                view = View(self._app.name, metrics, workers.processes, workers.slow)
                private = self._app.ctx.config.private_dir()
                async with nullcontext() if address is None else serve_view(view, private):
                    started.set_result(workers)
                    await self._stopping.wait()
                workers.close()
        except Exception as exc:
            if started.done():
                raise
            started.set_exception(exc)


@dataclass(eq=False)
class _Worker:
    """A worker that is being spawned, or runs."""

    popen: Any
    values: SharedValues
    reading: int
    writing: int
    pid: int = 0
    number: int = -1
    serves: bool = False
    unread: bytes = b""


class _Workers:
    """The workers that Sanic has spawned. All but `pass_to_worker` runs in the thread of the loop."""

    def __init__(self, metrics: Collection, alerts: Dispatcher | None) -> None:
        self._metrics = metrics
        self._alerts = alerts
        self.slow = RecentSlow()
        self._loop = asyncio.get_running_loop()
        self._workers: set[_Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        metrics.update_with(self._set_gauges)

    def pass_to_worker(self) -> tuple[Callable[..., None], tuple[object, ...]]:
        """What a worker that is being spawned unpickles. Thread-safe."""
        popen = context.get_spawning_popen()
        if popen is None:
            raise TypeError("This object is only for the workers of Sanic.")
        try:
            worker = asyncio.run_coroutine_threadsafe(self._add(popen), self._loop).result(ADD_TIMEOUT)
        except (RuntimeError, TimeoutError):  # the service stops
            return _received_nothing, ()
        return _received, (worker.values, reduction.DupFd(worker.writing), self._alerts is not None)

    def processes(self) -> list[Process]:
        """Those that run."""
        running = sorted(self._running(), key=lambda worker: worker.number)
        states: dict[bool, ProcessState] = {False: "starting", True: "serving"}
        return [Process(worker.number, worker.pid, states[worker.serves], worker.values) for worker in running]

    def close(self) -> None:
        """Forget all workers; what they have counted ends with the collection."""
        for task in self._tasks:
            task.cancel()
        for worker in list(self._workers):
            self._read(worker)
            self._forget(worker)

    async def _add(self, popen: Any) -> _Worker:
        worker = _Worker(popen, self._metrics.new(), *os.pipe())
        os.set_blocking(worker.reading, False)
        self._workers.add(worker)
        self._loop.add_reader(worker.reading, self._read, worker)
        task = asyncio.create_task(self._release(worker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return worker

    async def _release(self, worker: _Worker) -> None:
        """Close what the worker has received. Its end of the pipe must be the only one."""
        deadline = self._loop.time() + SPAWN_TIMEOUT
        try:
            while getattr(worker.popen, "pid", None) is None and self._loop.time() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(POLL)  # multiprocessing tells nobody when it has spawned
        finally:
            os.close(worker.writing)
            if worker in self._workers:
                worker.values.release_descriptor()

    def _read(self, worker: _Worker) -> None:
        try:
            data = os.read(worker.reading, 65_536)
        except BlockingIOError:
            return
        if not data:
            self._forget(worker)
            return
        *lines, worker.unread = (worker.unread + data).split(b"\n")
        for line in lines:
            self._receive(worker, *line.split(b" ", 1))

    def _receive(self, worker: _Worker, kind: bytes, content: bytes) -> None:
        if kind == b"started":
            pid, number = content.split()
            worker.pid, worker.number = int(pid), int(number)
        elif kind == b"serves":
            worker.serves = True
        elif kind == b"slow":
            self.slow.add(SlowEvent.from_bytes(content))
        elif self._alerts is not None:
            self._alerts.receive(Report.from_bytes(content), worker.pid)

    def _forget(self, worker: _Worker) -> None:
        self._loop.remove_reader(worker.reading)
        os.close(worker.reading)
        self._workers.discard(worker)
        self._metrics.ended(worker.values)
        clear_worker_gauges(worker.number)  # Sanic's restart begins a new one under its number
        if self._alerts is not None and worker.pid:
            self._alerts.process_ended(worker.pid)

    def _set_gauges(self) -> None:
        set_main_process_gauges()
        set_worker_gauges(WorkerState(worker.number, worker.pid, worker.serves) for worker in self._running())

    def _running(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.pid]


class _Passed:
    """The object in `app.shared_ctx`, which each worker receives as something of its own."""

    def __init__(self, workers: _Workers) -> None:
        self._workers = workers

    def __reduce__(self) -> tuple[Callable[..., None], tuple[object, ...]]:
        return self._workers.pass_to_worker()


async def sample_for_main_process() -> None:
    """Tell the main process that this worker serves, and sample values for it until cancelled. Does nothing unless
    Sanic has spawned this process, with such a thread in its main process."""
    if _values is not None:
        _write(b"serves yes\n")
        await sample(_values)


def _received(values: SharedValues, sent: Any, reports: bool) -> None:
    """Called in a worker, when it unpickles its arguments."""
    global _values, _pipe
    _values, _pipe = values, sent.detach()
    os.set_inheritable(_pipe, False)
    os.set_blocking(_pipe, False)
    os.set_inheritable(values.descriptor, False)
    if values.is_demanded_always:
        count_into(values)
    _write(b"started %d %d\n" % (os.getpid(), _number(multiprocessing.current_process().name)))
    send_slow_to(lambda event: _write(b"slow " + event.to_bytes() + b"\n"))
    if reports:
        send_reports_to(lambda report: _write(b"report " + report.to_bytes() + b"\n"))


def _received_nothing() -> None:
    """The service stops, and so will this worker."""


def _number(name: str) -> int:
    """The number in a name of Sanic's, such as `Sanic-Server-3-0`."""
    parts = name.split("-")
    return int(parts[-2]) if len(parts) > 2 and parts[-2].isdecimal() else 0


def _write(line: bytes) -> None:
    with suppress(OSError):  # nobody reads
        os.write(_pipe, line)
