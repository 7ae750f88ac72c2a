"""The supervisor keeps a service's workers alive, replaces them one by one, and stops them.

It owns the listening socket, which all workers share: a connection that arrives while a worker is replaced waits in the
socket's queue. The supervisor shares only that socket and one pipe with each worker.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass

from sanicbase.alerts import report_begun, report_ended
from sanicbase.alerts.dispatcher import Dispatcher
from sanicbase.metrics.collection import Collection
from sanicbase.metrics.slow import SlowEvent
from sanicbase.process.systemd import Notifier
from sanicbase.server.channel import RESTART, TERMINATE
from sanicbase.server.context import App
from sanicbase.server.launcher import Launcher
from sanicbase.server.listeners import MainProcessEvent, call_listeners
from sanicbase.server.manager import Manager
from sanicbase.server.metrics import (
    RECYCLED,
    RELOADS,
    RESTARTS,
    WorkerState,
    set_main_process_gauges,
    set_worker_gauges,
)
from sanicbase.server.template import TemplateFailed
from sanicbase.server.worker_process import Worker, WorkerFailed, limits_of
from sanicbase.top.snapshot import Process

__all__ = ["Supervisor", "Timeouts"]

logger = logging.getLogger("sanicbase.app")

FIRST_DELAY = 0.1  # seconds before a worker is restarted; doubles while workers die soon after their start
MAX_DELAY = 30.0
LOOPING_DELAY = 0.4  # seconds; the delay before the third restart in a row, which is an alert
STABLE = 10.0  # seconds after which a worker's end resets the delay
SAME_STOP = 1.0  # seconds; a second signal that comes sooner belongs to the same stop
SIGNAL_DELAY = 0.5  # seconds in which a signal that ended a worker reaches this process, too
RETRY_DELAY = 10.0  # seconds until a worker that could not be replaced is replaced again
CHECK_INTERVAL = 1.0  # seconds between two checks of the heartbeats


@dataclass(frozen=True)
class Timeouts:
    """Limits for a worker, in seconds: to be ready, between heartbeats, to stop during its start, and to stop."""

    start: float
    heartbeat: float
    stop_during_start: float
    stop: float


class Supervisor:
    """Runs the workers of the app, and the manager's processes, until it is stopped.

    A worker that dies or sends no heartbeat is replaced after a delay, which grows while workers die soon after their
    start. SIGHUP replaces all workers one by one; each new one is ready before the old one stops. SIGTERM and SIGINT
    stop all; a second signal kills them. The notifier reports each of these.

    The first workers and those of a reload are ready only when all resources respond, because their settings may be
    wrong. A worker that replaces a dead one does not wait for that; otherwise nothing would serve during an outage.
    """

    def __init__(
        self,
        app: App,
        bound: socket.socket,
        manager: Manager,
        launcher: Launcher,
        timeouts: Timeouts,
        notifier: Notifier,
        metrics: Collection,
        alerts: Dispatcher | None = None,
        on_slow: Callable[[SlowEvent], None] | None = None,
    ) -> None:
        self._app = app
        self._bound = bound
        self._manager = manager
        self._launcher = launcher
        self._timeouts = timeouts
        self._notifier = notifier
        self._metrics = metrics
        self._alerts = alerts
        self._on_slow = on_slow
        self._looping: set[int] = set()  # slots whose workers keep ending
        self._count = app.ctx.bind_address.workers
        self._slots: list[Worker] = []
        self._alive: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloading: asyncio.Task[None] | None = None
        self._replace_lock = asyncio.Lock()
        self._stop_requested = asyncio.Event()
        self._stop_requested_at = 0.0
        self._failed: BaseException | None = None
        metrics.update_with(self._set_gauges)

    def processes(self) -> list[Process]:
        """The workers that have not ended, for a person who watches."""
        workers = sorted(self._alive, key=lambda worker: (worker.number, worker.started_at))
        return [Process(worker.number, worker.pid, worker.state, worker.values) for worker in workers]

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Return when every worker has ended. Raises WorkerFailed when one of the first workers fails to start."""
        self._handle_signals()
        try:
            if await self._start():
                on_ready()
                self._notifier.ready(self._serving())
                self._create_task(self._notifier.feed_watchdog())
                for slot in range(self._count):
                    self._create_task(self._keep_alive(slot))
                self._create_task(self._check_heartbeats())
                if limits_of(self._app.ctx.config) is not None:
                    self._create_task(self._recycle())
                await self._stop_requested.wait()
        finally:
            self._notifier.stopping("The workers drain.")
            await self._stop_all()
        if self._failed is not None:
            raise self._failed

    def stop(self) -> None:
        """Stop all workers; a second call, a second or more later, kills them."""
        if not self._stop_requested.is_set():
            self._stop_requested_at = time.monotonic()
            self._stop_requested.set()
        elif time.monotonic() - self._stop_requested_at > SAME_STOP:
            logger.warning("Second stop signal: the workers are killed.")
            for worker in self._alive:
                worker.kill()
            self._manager.kill()

    def reload(self) -> None:
        """Replace all workers, one by one. A call during a reload does nothing."""
        if self._reloading is None or self._reloading.done():
            self._reloading = self._create_task(self._reload())

    async def _start(self) -> bool:
        """Start the first workers; returns False when a stop was requested before they were ready."""
        self._manager.start()
        self._launcher.log_fallback()
        self._slots = [await self._spawn(number, check=True) for number in range(self._count)]
        all_ready = asyncio.gather(*(worker.ready(self._timeouts.start) for worker in self._slots))
        stop = asyncio.ensure_future(self._stop_requested.wait())
        try:
            await asyncio.wait((all_ready, stop), return_when=asyncio.FIRST_COMPLETED)
            if not self._stop_requested.is_set() and any(worker.was_terminated for worker in self._slots):
                await asyncio.wait((stop,), timeout=SIGNAL_DELAY)  # a signal to all processes may reach a worker first
            if self._stop_requested.is_set():  # a worker that got the signal, too, has not failed
                return False
            await all_ready
            return True
        finally:
            all_ready.cancel()
            stop.cancel()
            await asyncio.gather(all_ready, stop, return_exceptions=True)

    async def _keep_alive(self, slot: int) -> None:
        """Keep one slot occupied: when its worker ends, start another one."""
        delay = FIRST_DELAY
        loop = asyncio.get_running_loop()
        while True:
            worker = self._slots[slot]
            reason = await worker.ended()
            if self._slots[slot] is not worker:  # a reload has replaced it
                continue
            delay = FIRST_DELAY if time.monotonic() - worker.started_at > STABLE else min(delay * 2, MAX_DELAY)
            logger.error("Worker %d [%d] %s. It is restarted in %.1f s.", slot, worker.pid, reason, delay)
            RESTARTS.inc(str(slot))
            if delay >= LOOPING_DELAY:
                self._looping.add(slot)
                report_begun("worker", str(slot), f"Worker {slot} keeps ending: it {reason}.")
            self._notifier.status(self._serving())
            await asyncio.sleep(delay)
            if self._slots[slot] is not worker:  # a reload has replaced it meanwhile
                continue
            with suppress(WorkerFailed):  # the next round logs it and tries again
                new = await self._spawn(slot, check=False)
                if self._slots[slot] is not worker:
                    await self._end(new)
                    continue
                self._slots[slot] = worker = new
                await self._ready(worker)
                logger.info("Worker %d [%d] is serving.", slot, worker.pid)
                loop.call_later(STABLE, self._note_stable, worker)
                self._notifier.status(self._serving())

    def _note_stable(self, worker: Worker) -> None:
        """A worker has been serving for a while, unless it has ended."""
        slot = worker.number
        if slot in self._looping and self._slots[slot] is worker and worker.is_serving:
            self._looping.discard(slot)
            report_ended("worker", str(slot), f"Worker {slot} is serving.")

    def _handle_request(self, request: bytes) -> None:
        """Handle a request that a worker has sent through `app.m`."""
        name = request.removeprefix(RESTART).decode()
        worker = next((worker for worker in self._slots if worker.name == name), None)
        if request == TERMINATE:
            self.stop()
        elif not name:
            self.reload()
        elif worker is not None:
            self._create_task(self._restart(worker))
        else:
            self._manager.restart([name])

    async def _restart(self, worker: Worker) -> None:
        async with self._replace_lock:
            if self._slots[worker.number] is worker and await self._import_code():  # else it was replaced already
                await self._replace(worker.number)

    async def _reload(self) -> None:
        self._notifier.reloading("Reloading the workers.")
        replaced = await self._replace_all()
        RELOADS.inc("succeeded" if replaced else "failed")
        self._notifier.ready(self._serving() if replaced else f"The last reload failed. {self._serving()}")

    async def _replace_all(self) -> bool:
        logger.info("Reloading %d workers, one by one.", self._count)
        if not await self._call_listeners("before_reload_trigger"):
            return False
        async with self._replace_lock:
            if not await self._import_code():
                return False
            for slot in range(self._count):
                if not await self._replace(slot):
                    return False
        self._manager.restart()
        logger.info("Reloaded.")
        return await self._call_listeners("after_reload_trigger", changed=set())  # which files is unknown

    async def _import_code(self) -> bool:
        """Let the next workers run the current code; returns False when it cannot be imported."""
        try:
            await self._launcher.renew(self._timeouts.start)
        except TemplateFailed as exc:
            logger.error("The new template process failed: %s. The old workers keep serving.", exc)  # noqa: TRY400
            return False
        return True

    async def _call_listeners(self, event: MainProcessEvent, **values: object) -> bool:
        """Call the listeners of a reload; returns False when one failed, which ends only the reload."""
        try:
            await call_listeners(self._app, event, **values)
        except Exception:
            logger.exception("A listener of %s failed: the reload is aborted.", event)
            return False
        return True

    async def _replace(self, slot: int, *, check: bool = True) -> bool:
        """Put a new worker into the slot, and stop the old one when it serves; returns False when it failed."""
        try:
            new = await self._spawn(slot, check=check)
            await self._ready(new)
        except WorkerFailed as exc:
            logger.error("The new worker %d failed: %s. The old workers keep serving.", slot, exc)  # noqa: TRY400
            return False
        old, self._slots[slot] = self._slots[slot], new
        asyncio.get_running_loop().call_later(STABLE, self._note_stable, new)
        await self._end(old)
        return True

    def _serving(self) -> str:
        return f"{sum(worker.is_serving for worker in self._slots)} of {self._count} workers are serving."

    async def _ready(self, worker: Worker) -> None:
        try:
            await worker.ready(self._timeouts.start)
        except WorkerFailed:
            worker.kill()
            raise

    async def _check_heartbeats(self) -> None:
        """Kill workers without a heartbeat: they accept connections, but their blocked event loop answers none."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            for worker in self._slots:
                if worker.is_serving and worker.seconds_since_heartbeat() > self._timeouts.heartbeat:
                    logger.error("Worker %d [%d] sent no heartbeat and is killed.", worker.number, worker.pid)
                    worker.kill()

    async def _recycle(self) -> None:
        """Replace workers that have reached a limit, one after the other."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            for worker in list(self._slots):
                if worker.is_serving and (limit := worker.limit_exceeded()) is not None:
                    await self._recycle_one(worker, *limit)

    async def _recycle_one(self, worker: Worker, limit: str, description: str) -> None:
        async with self._replace_lock:
            if self._slots[worker.number] is not worker or not worker.is_serving:
                return
            logger.info("Worker %d [%d] %s and is replaced.", worker.number, worker.pid, description)
            if await self._replace(worker.number, check=False):
                RECYCLED.inc(limit)
                return
        await asyncio.sleep(RETRY_DELAY)

    async def _stop_all(self) -> None:
        self._bound.close()  # the workers close theirs: new connections are refused, not left waiting
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        workers = (self._end(worker) for worker in list(self._alive))
        await asyncio.gather(self._manager.end(self._timeouts.stop), *workers)

    async def _end(self, worker: Worker) -> None:
        """Stop a worker, and kill it when it takes too long."""
        worker.stop()
        try:
            async with asyncio.timeout(self._timeouts.stop if worker.was_ready else self._timeouts.stop_during_start):
                await worker.ended()
        except TimeoutError:
            logger.error("Worker %d [%d] did not stop in time and is killed.", worker.number, worker.pid)  # noqa: TRY400
            worker.kill()
            await worker.ended()

    async def _spawn(self, number: int, *, check: bool) -> Worker:
        try:
            await self._launcher.replace_ended(self._timeouts.start)
        except TemplateFailed as exc:
            raise WorkerFailed(f"could not be forked: the new template process {exc}") from exc
        values = self._metrics.new()
        try:
            worker = Worker(
                number, self._app, self._bound, self._launcher, self._handle_request, check=check, values=values,
                on_report=self._alerts.receive if self._alerts is not None else None, on_slow=self._on_slow,
            )  # fmt: skip
        except WorkerFailed:
            self._metrics.ended(values)
            raise
        values.release_descriptor()
        self._alive.add(worker)
        self._create_task(self._forget(worker))
        return worker

    async def _forget(self, worker: Worker) -> None:
        await worker.ended()
        self._alive.discard(worker)
        self._metrics.ended(worker.values)
        if self._alerts is not None:
            self._alerts.process_ended(worker.pid)

    def _set_gauges(self) -> None:
        set_main_process_gauges()
        set_worker_gauges(WorkerState(worker.number, worker.pid, worker.is_serving) for worker in self._slots)

    def _create_task(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        """If the supervisor itself fails, stop the service and log the error: workers must not run unsupervised."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.critical("The supervisor failed: the service stops.", exc_info=error)
            self._failed = error
            self._stop_requested.set()

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
