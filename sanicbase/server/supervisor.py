"""The supervisor: it keeps a service's workers alive, replaces them one by one, and ends them all.

It owns the listening socket, which every worker shares: a connection that arrives while a worker is replaced waits in
the socket's queue. Nothing here is shared with the workers but that socket and one pipe each.
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

from sanicbase.process.notify import Notifier
from sanicbase.server.channel import RESTART, TERMINATE
from sanicbase.server.listeners import MainProcessEvent, call_listeners
from sanicbase.server.manager import Manager
from sanicbase.server.workers import Worker, WorkerFailed
from sanicbase.typing import App

__all__ = ["Patience", "Supervisor"]

logger = logging.getLogger("sanicbase.app")

FIRST_PAUSE = 0.1  # seconds before a worker is replaced; it doubles while they die young
LONGEST_PAUSE = 30.0
STEADY = 10.0  # seconds a worker must have lived for the next pause to be the first again
IMPATIENCE = 1.0  # seconds; a second signal that comes sooner is the same stop, sent twice
HEARD = 0.5  # seconds in which a signal that ended a worker reaches this process as well
CHECK = 1.0  # seconds between two looks at the signs of life


@dataclass(frozen=True)
class Patience:
    """How long, in seconds, a worker may take to be ready, be silent, stop while it starts, and stop."""

    ready: float
    silent: float
    start_stop: float
    stop: float


class Supervisor:
    """Runs the workers of the app, and the manager's processes beside them, until it is told to stop.

    A worker that dies or falls silent is replaced, after a pause that grows while they die young. SIGHUP replaces all
    of them, one by one, each by one that is ready first. SIGTERM and SIGINT stop all; a second one kills. The notifier
    hears of each of these.

    The first workers and those of a reload are ready only when all resources answer: they may have wrong settings. One
    that takes the place of a dead worker serves without: a restart during an outage would otherwise serve nothing.
    """

    def __init__(
        self, app: App, bound: socket.socket, manager: Manager, patience: Patience, notifier: Notifier
    ) -> None:
        self._app = app
        self._bound = bound
        self._manager = manager
        self._patience = patience
        self._notifier = notifier
        self._count: int = app.ctx.listening.workers
        self._slots: list[Worker] = []
        self._alive: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloading: asyncio.Task[None] | None = None
        self._replacing = asyncio.Lock()
        self._told = asyncio.Event()
        self._told_at = 0.0
        self._failed: BaseException | None = None

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Return when every worker has ended. Raises WorkerFailed when the first ones do not get ready."""
        self._listen_to_signals()
        try:
            if await self._start():
                on_ready()
                self._notifier.ready(self._serving())
                self._begin(self._notifier.show_life())
                for slot in range(self._count):
                    self._begin(self._keep(slot))
                self._begin(self._check_life())
                await self._told.wait()
        finally:
            self._notifier.stopping("The workers drain.")
            await self._stop_all()
        if self._failed is not None:
            raise self._failed

    def stop(self) -> None:
        """Stop all; told again after a second or more, kill them."""
        if not self._told.is_set():
            self._told_at = time.monotonic()
            self._told.set()
        elif time.monotonic() - self._told_at > IMPATIENCE:
            logger.warning("Told to stop once more: the workers are killed.")
            for worker in self._alive:
                worker.kill()
            self._manager.kill()

    def reload(self) -> None:
        """Replace all workers, one by one. Told while it is at it, it does not begin again."""
        if self._reloading is None or self._reloading.done():
            self._reloading = self._begin(self._reload())

    async def _start(self) -> bool:
        """Start the first workers; False when a stop came before they were ready."""
        self._manager.start()
        self._slots = [self._spawn(number, check=True) for number in range(self._count)]
        all_ready = asyncio.gather(*(worker.ready(self._patience.ready) for worker in self._slots))
        told = asyncio.ensure_future(self._told.wait())
        try:
            await asyncio.wait((all_ready, told), return_when=asyncio.FIRST_COMPLETED)
            if not self._told.is_set() and any(worker.was_terminated for worker in self._slots):
                await asyncio.wait((told,), timeout=HEARD)  # a signal to all processes reaches a worker first
            if self._told.is_set():  # a worker that was told as well has not failed
                return False
            await all_ready
            return True
        finally:
            all_ready.cancel()
            told.cancel()
            await asyncio.gather(all_ready, told, return_exceptions=True)

    async def _keep(self, slot: int) -> None:
        """The life of one slot: when its worker ends, another one takes its place."""
        pause = FIRST_PAUSE
        while True:
            worker = self._slots[slot]
            how = await worker.ended()
            if self._slots[slot] is not worker:  # a reload has put another one here
                continue
            pause = FIRST_PAUSE if time.monotonic() - worker.born > STEADY else min(pause * 2, LONGEST_PAUSE)
            logger.error("Worker %d [%d] %s. Another one starts in %.1f s.", slot, worker.pid, how, pause)
            self._notifier.status(self._serving())
            await asyncio.sleep(pause)
            with suppress(WorkerFailed):  # it is told above, and tried again
                self._slots[slot] = worker = self._spawn(slot, check=False)
                await self._ready(worker)
                logger.info("Worker %d [%d] serves.", slot, worker.pid)
                self._notifier.status(self._serving())

    def _obey(self, command: bytes) -> None:
        """Do what a worker has asked for through `app.m`."""
        name = command.removeprefix(RESTART).decode()
        worker = next((worker for worker in self._slots if worker.name == name), None)
        if command == TERMINATE:
            self.stop()
        elif not name:
            self.reload()
        elif worker is not None:
            self._begin(self._restart(worker))
        else:
            self._manager.restart([name])

    async def _restart(self, worker: Worker) -> None:
        async with self._replacing:
            if self._slots[worker.number] is worker:  # else it was replaced while this waited
                await self._replace(worker.number)

    async def _reload(self) -> None:
        self._notifier.reloading("The workers are replaced.")
        replaced = await self._replace_all()
        self._notifier.ready(self._serving() if replaced else f"The last reload failed. {self._serving()}")

    async def _replace_all(self) -> bool:
        logger.info("Reloading %d workers, one by one.", self._count)
        if not await self._called("before_reload_trigger"):
            return False
        async with self._replacing:
            for slot in range(self._count):
                if not await self._replace(slot):
                    return False
        self._manager.restart()
        logger.info("Reloaded.")
        return await self._called("after_reload_trigger", changed=set())  # nobody has told which files

    async def _called(self, event: MainProcessEvent, **values: object) -> bool:
        """Call the listeners of a reload; False when one failed, which ends the reload and nothing else."""
        try:
            await call_listeners(self._app, event, **values)
        except Exception:
            logger.exception("A listener of %s failed: the reload ends here.", event)
            return False
        return True

    async def _replace(self, slot: int) -> bool:
        """Put a new worker into the slot, and end the old one once it serves; False when it failed."""
        try:
            fresh = self._spawn(slot, check=True)
            await self._ready(fresh)
        except WorkerFailed as exc:
            logger.error("The new worker %d failed: %s. The old ones go on serving.", slot, exc)  # noqa: TRY400
            return False
        old, self._slots[slot] = self._slots[slot], fresh
        await self._end(old)
        return True

    def _serving(self) -> str:
        return f"{sum(worker.is_serving for worker in self._slots)} of {self._count} workers serve."

    async def _ready(self, worker: Worker) -> None:
        try:
            await worker.ready(self._patience.ready)
        except WorkerFailed:
            worker.kill()
            raise

    async def _check_life(self) -> None:
        """A worker whose event loop stands still takes connections and answers none of them."""
        while True:
            await asyncio.sleep(CHECK)
            for worker in self._slots:
                if worker.is_serving and worker.silent_for() > self._patience.silent:
                    logger.error("Worker %d [%d] gave no sign of life: it is killed.", worker.number, worker.pid)
                    worker.kill()

    async def _stop_all(self) -> None:
        self._bound.close()  # the workers close theirs: who comes now is refused, not left waiting
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        workers = (self._end(worker) for worker in list(self._alive))
        await asyncio.gather(self._manager.end(self._patience.stop), *workers)

    async def _end(self, worker: Worker) -> None:
        """Stop a worker, and kill it when it takes too long."""
        worker.stop()
        try:
            async with asyncio.timeout(self._patience.stop if worker.has_served else self._patience.start_stop):
                await worker.ended()
        except TimeoutError:
            logger.error("Worker %d [%d] did not stop in time: it is killed.", worker.number, worker.pid)  # noqa: TRY400
            worker.kill()
            await worker.ended()

    def _spawn(self, number: int, *, check: bool) -> Worker:
        worker = Worker(number, self._app, self._bound, self._obey, check=check)
        self._alive.add(worker)
        self._begin(self._forget(worker))
        return worker

    async def _forget(self, worker: Worker) -> None:
        await worker.ended()
        self._alive.discard(worker)

    def _begin(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        """A supervisor that has failed itself must not leave workers unattended: the service stops, and says why."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.critical("The supervisor failed; the service stops.", exc_info=error)
            self._failed = error
            self._told.set()

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
