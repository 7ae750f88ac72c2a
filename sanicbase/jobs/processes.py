"""The processes of `run_scripts(…, processes=4)`: started, replaced when they die, and stopped together.

The main process runs the launch file again for each of them, so it opens nothing and shares nothing with them but a
pipe, into which a process writes when it is ready, and when a run of a job has ended. It owns the processes: they end
with it, whatever kills it (parent-death signal).

A process that reaches a limit is replaced: when another one is ready, the main process sends it DRAIN. It takes no
further job, finishes its runs without a limit, and ends. Only one process is replaced at a time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field

from sanicbase.alerts.dispatcher import Dispatcher
from sanicbase.alerts.reporting import Report, send_reports_to
from sanicbase.metrics import Counter
from sanicbase.metrics.collection import Collection
from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.shared_values import SharedValues
from sanicbase.metrics.slow import SlowEvent, send_slow_to
from sanicbase.process.parent import die_with
from sanicbase.process.recycling import WorkerLimits
from sanicbase.process.systemd import Notifier
from sanicbase.server.metrics import RESTARTS, WorkerState, set_worker_gauges
from sanicbase.top.snapshot import Process, ProcessState, RecentSlow

__all__ = ["DRAIN", "Child", "MainProcess", "run_processes"]

logger = logging.getLogger("sanicbase.jobs")

RECYCLED = Counter(
    "sanicbase_job_worker_recycled_total", "Processes of scripts that reached a limit and were replaced.", ["limit"]
)

PARENT = "SANICBASE_SCRIPTS_PARENT"
MESSAGES = "SANICBASE_SCRIPTS_MESSAGES"
VALUES = "SANICBASE_SCRIPTS_VALUES"
READY = "SANICBASE_SCRIPTS_READY"
READY_BYTE, RUN_BYTE = b"1", b"r"
DRAIN = signal.SIGUSR1 if hasattr(signal, "SIGUSR1") else signal.SIGTERM
FIRST_DELAY, MAX_DELAY = 0.1, 30.0  # seconds before a process is started again; the delay doubles
CHECK_INTERVAL = 1.0  # seconds between two checks of the limits
RETRY_DELAY = 10.0  # seconds until a process that could not be replaced is replaced again
STABLE = 10.0  # seconds after which the end of a process resets the delay
CLEANUP = 8.0  # seconds that a process has after its grace, for `finally` and its resources; systemd waits ten


@dataclass(frozen=True)
class Child:
    """This process as one of several. `ready` tells the main process that it runs."""

    ready_fd: int
    messages_fd: int
    values: SharedValues

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Child | None:
        """The child that the environment describes; None in a main process. From this call on, the process ends with
        its parent."""
        parent, *numbers = (environment.pop(name, "") for name in (PARENT, READY, MESSAGES, VALUES))
        if not (parent.isdecimal() and all(number.isdecimal() for number in numbers)):
            return None
        die_with(int(parent))
        ready, messages, values = map(int, numbers)
        return cls(ready, messages, SharedValues(values))

    def join(self) -> None:
        """Have the main process receive the reports, the slow events and the values of this one."""
        count_into(self.values, on_demand=not self.values.is_demanded_always)
        os.set_blocking(self.messages_fd, False)
        send_reports_to(lambda report: _send(self.messages_fd, REPORT, report.to_bytes()))
        send_slow_to(lambda event: _send(self.messages_fd, SLOW, event.to_bytes()))

    def ready(self) -> None:
        """Tell the main process that this process runs."""
        os.set_blocking(self.ready_fd, False)
        with suppress(OSError):
            os.write(self.ready_fd, READY_BYTE)

    def count_run(self) -> None:
        """Tell the main process that a run of a job has ended."""
        with suppress(OSError):  # it does not read
            os.write(self.ready_fd, RUN_BYTE)


REPORT, SLOW = b"report", b"slow"


def _send(descriptor: int, kind: bytes, message: bytes) -> None:
    with suppress(OSError):  # nobody reads
        os.write(descriptor, b"%d %b %b\n" % (os.getpid(), kind, message))


@dataclass(frozen=True)
class MainProcess:
    """What a main process does for the others: it sends their alerts, and keeps what they count and what was slow.

    `processes` are those that run, by their pids.
    """

    alerts: Dispatcher | None
    metrics: Collection
    slow: RecentSlow
    processes: dict[int, Process] = field(default_factory=dict)


async def run_processes(
    count: int, grace: float, notifier: Notifier, draw_limits: Callable[[], WorkerLimits | None], main: MainProcess
) -> bool:
    """Keep that many processes running until SIGTERM or SIGINT; returns whether one of the first could not start.
    `draw_limits` returns the limits of one process.

    A second signal kills them.
    """
    messages = _Messages(main)
    try:
        return await _Supervisor(count, grace, notifier, draw_limits, messages, main).run()
    finally:
        messages.close()


class _Messages:
    """A pipe into which all processes write their messages, each a line that the system keeps in one piece."""

    def __init__(self, main: MainProcess) -> None:
        self._main = main
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._left = b""
        asyncio.get_running_loop().add_reader(self._reading, self._read)

    def close(self) -> None:
        """Read the last ones, and close the pipe."""
        self._read()
        asyncio.get_running_loop().remove_reader(self._reading)
        os.close(self._reading)
        os.close(self.writing)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            *lines, self._left = (self._left + os.read(self._reading, 65_536)).split(b"\n")
            for line in lines:
                pid, kind, message = line.split(b" ", 2)
                if kind == SLOW:
                    self._main.slow.add(SlowEvent.from_bytes(message))
                elif self._main.alerts is not None:
                    self._main.alerts.receive(Report.from_bytes(message), int(pid))


class _Worker:
    """A process and its pipe. The supervisor owns it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reading: int,
        values: SharedValues,
        limits: WorkerLimits | None,
    ) -> None:
        self.process = process
        self.values = values
        self.started_at = time.monotonic()
        self._limits = limits
        self._reading = reading
        self._runs = 0
        self._ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(reading, self._read)

    async def ready(self) -> bool:
        """Whether the process has become ready; False if it ended before."""
        return await asyncio.shield(self._ready)

    def limit_exceeded(self) -> tuple[str, str] | None:
        """The limit that it has reached, and a description; None when it has reached none."""
        if self._limits is None:
            return None
        return self._limits.exceeded(self.process.pid, count=self._runs, age=time.monotonic() - self.started_at)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def _read(self) -> None:
        data = os.read(self._reading, 4096)
        self._runs += data.count(RUN_BYTE)
        if not self._ready.done():
            self._ready.set_result(READY_BYTE in data)
        if not data:  # it has ended
            asyncio.get_running_loop().remove_reader(self._reading)
            os.close(self._reading)


class _Supervisor:
    def __init__(
        self,
        count: int,
        grace: float,
        notifier: Notifier,
        draw_limits: Callable[[], WorkerLimits | None],
        messages: _Messages,
        main: MainProcess,
    ) -> None:
        self._count = count
        self._grace = grace
        self._notifier = notifier
        self._messages = messages
        self._main = main
        self._draw_limits = draw_limits
        self._alive: set[_Worker] = set()
        self._one_at_a_time = asyncio.Lock()  # held while a process is replaced, until the old one has ended
        self._draining: set[asyncio.Task[None]] = set()
        self._slots: dict[int, WorkerState] = {}
        self._ready = 0
        self._stopping = asyncio.Event()
        self._failed = False
        main.metrics.update_with(lambda: set_worker_gauges(self._slots.values()))

    async def run(self) -> bool:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        slots = [asyncio.create_task(self._keep_alive(slot)) for slot in range(self._count)]
        watchdog = asyncio.create_task(self._notifier.feed_watchdog())
        try:
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({stopping, *slots}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._notifier.stopping("Stopping the scripts.")
            self._stopping.set()
            await self._end_all()
            watchdog.cancel()
            for slot in slots:
                slot.cancel()
            for error in await asyncio.gather(*slots, *self._draining, watchdog, return_exceptions=True):
                if isinstance(error, Exception):
                    self._failed = True
                    logger.critical("The scripts stop, because of an error in the main process.", exc_info=error)
        return self._failed

    def _stop(self) -> None:
        if self._stopping.is_set():
            logger.warning("Second stop signal: the processes are killed.")
            for worker in self._alive:
                worker.send(signal.SIGKILL)
        self._stopping.set()

    async def _keep_alive(self, slot: int) -> None:
        delay, was_ready = FIRST_DELAY, False
        while not self._stopping.is_set():
            try:
                worker = await self._start()
            except OSError as exc:  # no memory, no descriptors, too many processes
                if not was_ready:
                    raise
                delay = min(2 * delay, MAX_DELAY)
                logger.error("Process %d cannot be started: %s. The next attempt is in %.1f s.", slot, exc, delay)  # noqa: TRY400
                await self._pause(delay)
                continue
            self._set_state(slot, worker, "starting")
            is_ready = await worker.ready()
            if is_ready:
                self._set_state(slot, worker, "serving")
            if is_ready and not was_ready:
                was_ready = True
                self._ready += 1
                if self._ready == self._count:
                    self._notifier.ready(f"{self._count} processes run the scripts.")
            worker, code = await self._end_of(slot, worker)
            if self._stopping.is_set():
                return
            if not was_ready:
                self._failed = True
                return
            is_stable = time.monotonic() - worker.started_at > STABLE
            delay = FIRST_DELAY if is_stable else min(2 * delay, MAX_DELAY)
            logger.error(
                "Process %d [%d] ended with status %d. It is started again in %.1f s.",
                slot,
                worker.process.pid,
                code,
                delay,
            )
            RESTARTS.inc(str(slot))
            await self._pause(delay)

    async def _end_of(self, slot: int, worker: _Worker) -> tuple[_Worker, int]:
        """Wait for the end of the process in the slot, and replace it whenever it reaches a limit. Returns the last
        one, and its status."""
        while True:
            limit = None if self._stopping.is_set() else worker.limit_exceeded()
            if limit is not None:
                worker = await self._replaced(slot, worker, *limit)
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_INTERVAL):
                    code = await worker.process.wait()
                    self._slots[slot] = WorkerState(slot, worker.process.pid, is_serving=False)
                    self._note_end(worker)
                    return worker, code

    async def _replaced(self, slot: int, old: _Worker, limit: str, description: str) -> _Worker:
        """The successor of a process that has reached a limit, which then drains; the process itself if none could be
        started, or if it has ended."""
        await self._one_at_a_time.acquire()
        is_draining = False
        try:
            if self._stopping.is_set() or old.process.returncode is not None:
                return old
            logger.info("Process %d [%d] %s and is replaced.", slot, old.process.pid, description)
            new = await self._successor(slot)
            if new is None:
                logger.error("No other process could be started for process %d [%d].", slot, old.process.pid)
                await self._pause(RETRY_DELAY)
                return old
            RECYCLED.inc(limit)
            self._set_state(slot, new, "serving")
            self._main.processes[old.process.pid] = Process(slot, old.process.pid, "draining", old.values)
            old.send(DRAIN)
            draining = asyncio.create_task(self._drained(slot, old))
            self._draining.add(draining)
            draining.add_done_callback(self._draining.discard)
            is_draining = True
            return new
        finally:
            if not is_draining:
                self._one_at_a_time.release()

    async def _successor(self, slot: int) -> _Worker | None:
        try:
            worker = await self._start()
        except OSError:
            return None
        self._main.processes[worker.process.pid] = Process(slot, worker.process.pid, "starting", worker.values)
        if await worker.ready():
            return worker
        await worker.process.wait()
        self._note_end(worker)
        return None

    async def _drained(self, slot: int, worker: _Worker) -> None:
        """Wait for the end of a process that drains."""
        try:
            code = await worker.process.wait()
            self._note_end(worker)
            if code and not self._stopping.is_set():
                logger.error("Process %d [%d] ended with status %d while it drained.", slot, worker.process.pid, code)
        finally:
            self._one_at_a_time.release()

    def _note_end(self, worker: _Worker) -> None:
        self._alive.discard(worker)
        del self._main.processes[worker.process.pid]
        if self._main.alerts is not None:
            self._main.alerts.process_ended(worker.process.pid)
        self._main.metrics.ended(worker.values)

    def _set_state(self, slot: int, worker: _Worker, state: ProcessState) -> None:
        pid = worker.process.pid
        self._slots[slot] = WorkerState(slot, pid, is_serving=state == "serving")
        self._main.processes[pid] = Process(slot, pid, state, worker.values)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the service stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _start(self) -> _Worker:
        """Start a process."""
        values = self._main.metrics.new()
        try:
            process, reading = await self._execute(values)
        except BaseException:
            self._main.metrics.ended(values)
            raise
        values.release_descriptor()
        worker = _Worker(process, reading, values, self._draw_limits())
        self._alive.add(worker)
        if self._stopping.is_set():
            worker.send(signal.SIGTERM)
        return worker

    async def _execute(self, values: SharedValues) -> tuple[asyncio.subprocess.Process, int]:
        reading, writing = os.pipe()
        descriptors = {READY: writing, MESSAGES: self._messages.writing, VALUES: values.descriptor}
        env = os.environ | {PARENT: str(os.getpid())} | {name: str(number) for name, number in descriptors.items()}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *sys.orig_argv[1:],
                env=env,
                pass_fds=[*descriptors.values()],
                start_new_session=False,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return process, reading

    async def _end_all(self) -> None:
        for worker in self._alive:
            worker.send(signal.SIGTERM)
        ends = [asyncio.create_task(worker.process.wait()) for worker in self._alive]
        if not ends:
            return
        _, late = await asyncio.wait(ends, timeout=self._grace + CLEANUP)
        if late:
            logger.error("%d processes did not stop in time and are killed.", len(late))
            for worker in self._alive:
                worker.send(signal.SIGKILL)
            await asyncio.wait(ends)
