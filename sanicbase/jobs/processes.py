"""The processes of `run_scripts(…, processes=4)`: started, replaced when they die, and stopped together.

The main process runs the launch file again for each of them, so it opens nothing and shares nothing with them but a
pipe, into which a process writes when it is ready. It owns the processes: they end with it, whatever kills it
(parent-death signal).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sanicbase.alerts.dispatcher import Dispatcher
from sanicbase.alerts.reporting import Report, send_reports_to
from sanicbase.metrics.collection import Collection
from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.shared_values import SharedValues
from sanicbase.process.parent import die_with
from sanicbase.process.systemd import Notifier
from sanicbase.server.metrics import RESTARTS, WorkerState, set_worker_gauges

__all__ = ["Child", "run_processes"]

logger = logging.getLogger("sanicbase.jobs")

PARENT = "SANICBASE_SCRIPTS_PARENT"
REPORTS = "SANICBASE_SCRIPTS_REPORTS"
METRICS = "SANICBASE_SCRIPTS_METRICS"
READY = "SANICBASE_SCRIPTS_READY"
FIRST_DELAY, MAX_DELAY = 0.1, 30.0  # seconds before a process is started again; the delay doubles
STABLE = 10.0  # seconds after which the end of a process resets the delay
CLEANUP = 8.0  # seconds that a process has after its grace, for `finally` and its resources; systemd waits ten


@dataclass(frozen=True)
class Child:
    """This process as one of several. `ready` tells the main process that it runs."""

    ready_fd: int
    reports_fd: int | None = None
    metrics_fd: int | None = None

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Child | None:
        """The child that the environment describes; None in a main process. From this call on, the process ends with
        its parent."""
        parent, ready = environment.pop(PARENT, ""), environment.pop(READY, "")
        if not (parent.isdecimal() and ready.isdecimal()):
            return None
        die_with(int(parent))
        others = (environment.pop(REPORTS, ""), environment.pop(METRICS, ""))
        return cls(int(ready), *(int(text) if text.isdecimal() else None for text in others))

    def join(self) -> None:
        """Have the main process receive the reports and the metrics of this one, if it wants them."""
        if self.metrics_fd is not None:
            count_into(SharedValues(self.metrics_fd))
        if self.reports_fd is not None:
            os.set_blocking(self.reports_fd, False)
            send_reports_to(partial(_send_report, self.reports_fd))

    def ready(self) -> None:
        """Tell the main process that this process runs."""
        with suppress(OSError):
            os.write(self.ready_fd, b"1")
            os.close(self.ready_fd)


def _send_report(descriptor: int, report: Report) -> None:
    with suppress(OSError):  # nobody reads
        os.write(descriptor, b"%d %b\n" % (os.getpid(), report.to_bytes()))


async def run_processes(
    count: int, grace: float, notifier: Notifier, alerts: Dispatcher | None, metrics: Collection | None
) -> bool:
    """Keep that many processes running until SIGTERM or SIGINT; returns whether one of the first could not start.

    A second signal kills them. Their reports become `alerts`, and what they count is added to `metrics`.
    """
    reports = _Reports(alerts) if alerts is not None else None
    try:
        return await _Supervisor(count, grace, notifier, reports, metrics).run()
    finally:
        if reports is not None:
            reports.close()


class _Reports:
    """A pipe into which all processes write their reports, each a line that the system keeps in one piece."""

    def __init__(self, alerts: Dispatcher) -> None:
        self.alerts = alerts
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
                pid, _, report = line.partition(b" ")
                self.alerts.receive(Report.from_bytes(report), int(pid))


class _Supervisor:
    def __init__(
        self, count: int, grace: float, notifier: Notifier, reports: _Reports | None, metrics: Collection | None
    ) -> None:
        self._count = count
        self._grace = grace
        self._notifier = notifier
        self._reports = reports
        self._metrics = metrics
        self._alive: set[asyncio.subprocess.Process] = set()
        self._slots: dict[int, WorkerState] = {}
        self._ready = 0
        self._stopping = asyncio.Event()
        self._failed = False
        if metrics is not None:
            metrics.update_with(lambda: set_worker_gauges(self._slots.values()))

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
            for error in await asyncio.gather(*slots, watchdog, return_exceptions=True):
                if isinstance(error, Exception):
                    self._failed = True
                    logger.critical("The scripts stop, because of an error in the main process.", exc_info=error)
        return self._failed

    def _stop(self) -> None:
        if self._stopping.is_set():
            logger.warning("Second stop signal: the processes are killed.")
            for process in self._alive:
                process.kill()
        self._stopping.set()

    async def _keep_alive(self, slot: int) -> None:
        delay, was_ready = FIRST_DELAY, False
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                process, reading, counted = await self._start()
            except OSError as exc:  # no memory, no descriptors, too many processes
                if not was_ready:
                    raise
                delay = min(2 * delay, MAX_DELAY)
                logger.error("Process %d cannot be started: %s. The next attempt is in %.1f s.", slot, exc, delay)  # noqa: TRY400
                await self._pause(delay)
                continue
            self._slots[slot] = WorkerState(slot, process.pid, is_serving=False)
            is_ready = await self._wait_ready(reading)
            self._slots[slot] = WorkerState(slot, process.pid, is_ready)
            if is_ready and not was_ready:
                was_ready = True
                self._ready += 1
                if self._ready == self._count:
                    self._notifier.ready(f"{self._count} processes run the scripts.")
            code = await process.wait()
            self._slots[slot] = WorkerState(slot, process.pid, is_serving=False)
            self._alive.discard(process)
            if self._reports is not None:
                self._reports.alerts.process_ended(process.pid)
            if self._metrics is not None and counted is not None:
                self._metrics.ended(counted)
            if self._stopping.is_set():
                return
            if not was_ready:
                self._failed = True
                return
            delay = FIRST_DELAY if time.monotonic() - started > STABLE else min(2 * delay, MAX_DELAY)
            logger.error(
                "Process %d [%d] ended with status %d. It is started again in %.1f s.", slot, process.pid, code, delay
            )
            RESTARTS.inc(str(slot))
            await self._pause(delay)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the service stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _start(self) -> tuple[asyncio.subprocess.Process, int, SharedValues | None]:
        """Start a process. Returns it, the pipe that says when it is ready, and what it counts into."""
        counted = None if self._metrics is None else self._metrics.new()
        try:
            process, reading = await self._execute(counted)
        except BaseException:
            if self._metrics is not None and counted is not None:
                self._metrics.ended(counted)
            raise
        if counted is not None:
            counted.release_descriptor()
        self._alive.add(process)
        if self._stopping.is_set():
            process.terminate()
        return process, reading, counted

    async def _execute(self, counted: SharedValues | None) -> tuple[asyncio.subprocess.Process, int]:
        reading, writing = os.pipe()
        env, descriptors = {**os.environ, PARENT: str(os.getpid()), READY: str(writing)}, [writing]
        if self._reports is not None:
            env[REPORTS] = str(self._reports.writing)
            descriptors.append(self._reports.writing)
        if counted is not None:
            env[METRICS] = str(counted.descriptor)
            descriptors.append(counted.descriptor)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *sys.orig_argv[1:],
                env=env,
                pass_fds=descriptors,
                start_new_session=False,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return process, reading

    async def _wait_ready(self, reading: int) -> bool:
        """Whether the process has become ready; False if it ended before."""
        loop, answer = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(reading, answer.set)
        try:
            await answer.wait()
            return os.read(reading, 1) == b"1"
        finally:
            loop.remove_reader(reading)
            os.close(reading)

    async def _end_all(self) -> None:
        for process in self._alive:
            with suppress(ProcessLookupError):
                process.terminate()
        ends = [asyncio.create_task(process.wait()) for process in self._alive]
        if not ends:
            return
        _, late = await asyncio.wait(ends, timeout=self._grace + CLEANUP)
        if late:
            logger.error("%d processes did not stop in time and are killed.", len(late))
            for process in self._alive:
                with suppress(ProcessLookupError):
                    process.kill()
            await asyncio.wait(ends)
