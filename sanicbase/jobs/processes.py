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
from dataclasses import dataclass, field

from sanicbase.alerts.dispatcher import Dispatcher
from sanicbase.alerts.reporting import Report, send_reports_to
from sanicbase.metrics.collection import Collection
from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.shared_values import SharedValues
from sanicbase.metrics.slow import SlowEvent, send_slow_to
from sanicbase.process.parent import die_with
from sanicbase.process.systemd import Notifier
from sanicbase.server.metrics import RESTARTS, WorkerState, set_worker_gauges
from sanicbase.top.snapshot import Process, ProcessState, RecentSlow

__all__ = ["Child", "MainProcess", "run_processes"]

logger = logging.getLogger("sanicbase.jobs")

PARENT = "SANICBASE_SCRIPTS_PARENT"
MESSAGES = "SANICBASE_SCRIPTS_MESSAGES"
VALUES = "SANICBASE_SCRIPTS_VALUES"
READY = "SANICBASE_SCRIPTS_READY"
FIRST_DELAY, MAX_DELAY = 0.1, 30.0  # seconds before a process is started again; the delay doubles
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
        with suppress(OSError):
            os.write(self.ready_fd, b"1")
            os.close(self.ready_fd)


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


async def run_processes(count: int, grace: float, notifier: Notifier, main: MainProcess) -> bool:
    """Keep that many processes running until SIGTERM or SIGINT; returns whether one of the first could not start.

    A second signal kills them.
    """
    messages = _Messages(main)
    try:
        return await _Supervisor(count, grace, notifier, messages, main).run()
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


class _Supervisor:
    def __init__(self, count: int, grace: float, notifier: Notifier, messages: _Messages, main: MainProcess) -> None:
        self._count = count
        self._grace = grace
        self._notifier = notifier
        self._messages = messages
        self._main = main
        self._alive: set[asyncio.subprocess.Process] = set()
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
                process, reading, values = await self._start()
            except OSError as exc:  # no memory, no descriptors, too many processes
                if not was_ready:
                    raise
                delay = min(2 * delay, MAX_DELAY)
                logger.error("Process %d cannot be started: %s. The next attempt is in %.1f s.", slot, exc, delay)  # noqa: TRY400
                await self._pause(delay)
                continue
            self._set_state(slot, process.pid, "starting", values)
            is_ready = await self._wait_ready(reading)
            if is_ready:
                self._set_state(slot, process.pid, "serving", values)
            if is_ready and not was_ready:
                was_ready = True
                self._ready += 1
                if self._ready == self._count:
                    self._notifier.ready(f"{self._count} processes run the scripts.")
            code = await process.wait()
            self._slots[slot] = WorkerState(slot, process.pid, is_serving=False)
            self._alive.discard(process)
            del self._main.processes[process.pid]
            if self._main.alerts is not None:
                self._main.alerts.process_ended(process.pid)
            self._main.metrics.ended(values)
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

    def _set_state(self, slot: int, pid: int, state: ProcessState, values: SharedValues) -> None:
        self._slots[slot] = WorkerState(slot, pid, is_serving=state == "serving")
        self._main.processes[pid] = Process(slot, pid, state, values)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the service stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _start(self) -> tuple[asyncio.subprocess.Process, int, SharedValues]:
        """Start a process. Returns it, the pipe that says when it is ready, and what it counts into."""
        values = self._main.metrics.new()
        try:
            process, reading = await self._execute(values)
        except BaseException:
            self._main.metrics.ended(values)
            raise
        values.release_descriptor()
        self._alive.add(process)
        if self._stopping.is_set():
            process.terminate()
        return process, reading, values

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
