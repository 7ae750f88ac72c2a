"""The alerts of a service: the main process merges the reports of all workers into one alert for each change.

A state begins when the first process reports it, and ends when no process is in it. A killed process counts for MEMORY
seconds longer, because the next one may notice the same state.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sanicbase.alerts.alert import Alert, AlertHook, AlertKind, AlertState
from sanicbase.alerts.reporting import Report, send_reports_to

__all__ = ["Dispatcher", "open_alerts"]

logger = logging.getLogger("sanicbase.alerts")

HOOK_TIMEOUT = 10.0  # seconds for one alert
END_TIMEOUT = 2.0  # seconds to send the waiting alerts when the process ends
INTERVAL = 60.0  # seconds between two begin alerts, or two events, of the same subject
MEMORY = 60.0  # seconds for which the state of a killed process counts
MAX_WAITING = 100  # alerts; while a hook hangs, further ones are dropped
MAX_SUBJECTS = 1000  # subjects whose states are known; events of further ones are dropped
MAX_PER_MINUTE = 20  # alerts per minute, as the robots of DingTalk and WeCom allow
OWN = 0  # the source of the main process's own reports


@dataclass
class _Subject:
    """What is known about one subject."""

    sources: set[int] = field(default_factory=set)  # the processes that are in the state
    is_told: bool = False  # whether the last alert about it was its begin
    told_at: float = float("-inf")
    more: int = 0
    last: Report | None = None
    timer: asyncio.TimerHandle | None = None


class Dispatcher:
    """Owned by the main process, in its event loop. `hook` is called for one alert at a time, and delays nothing
    else."""

    def __init__(self, hook: AlertHook, service: str) -> None:
        self._hook = hook
        self._service = service
        self._host = socket.gethostname()
        self._subjects: dict[tuple[AlertKind, str], _Subject] = {}
        self._queue: asyncio.Queue[Alert] = asyncio.Queue(MAX_WAITING)
        self._sent: deque[float] = deque(maxlen=MAX_PER_MINUTE)
        self._drops = False
        self._forgetting: dict[int, asyncio.TimerHandle] = {}
        self._sending: asyncio.Task[None] | None = None

    def receive(self, report: Report, source: int = OWN) -> None:
        """Receive the report of a process; `source` is its pid."""
        key = (report.kind, report.subject)
        subject = self._subjects.get(key)
        if subject is None:
            if report.state == "ended" or len(self._subjects) >= MAX_SUBJECTS:
                return
            subject = self._subjects[key] = _Subject()
        if report.state == "event":
            self._receive_event(subject, report)
            return
        if report.state == "begun":
            subject.sources.add(source)
        else:
            subject.sources.discard(source)
        subject.last = report
        self._settle(subject)

    def process_ended(self, source: int) -> None:
        """Note that a process has ended. It may have been in states that continue."""
        if not any(source in subject.sources for subject in self._subjects.values()):
            return
        self._forgetting[source] = asyncio.get_running_loop().call_later(MEMORY, self._forget, source)

    async def run(self) -> None:
        """Send alerts until cancelled."""
        while True:
            await self._wait_for_turn()
            alert = await self._queue.get()
            self._sent.append(time.monotonic())
            self._sending = asyncio.create_task(self._send(alert))
            await asyncio.shield(self._sending)  # `send_waiting` awaits it when the process ends

    def close(self) -> None:
        """Cancel all timers."""
        for subject in self._subjects.values():
            if subject.timer is not None:
                subject.timer.cancel()
        for timer in self._forgetting.values():
            timer.cancel()

    async def send_waiting(self) -> None:
        """Send the waiting alerts when the process ends, for at most END_TIMEOUT, and the one that is being sent."""
        try:
            async with asyncio.timeout(END_TIMEOUT):
                if self._sending is not None:
                    await self._sending
                while not self._queue.empty():
                    await self._send(self._queue.get_nowait())
        except TimeoutError:
            logger.warning("%d alerts were not sent.", self._queue.qsize() + 1)

    def _receive_event(self, subject: _Subject, report: Report) -> None:
        subject.last = report
        if subject.timer is not None:  # one was sent a moment ago
            subject.more += 1
        else:
            self._put(subject, report.state)
            self._wait(subject)

    def _settle(self, subject: _Subject) -> None:
        """Send an alert if the state differs from that of the last alert; at most one begin per INTERVAL."""
        is_begun = bool(subject.sources)
        if is_begun == subject.is_told:
            return
        if is_begun and (wait := subject.told_at + INTERVAL - time.monotonic()) > 0:
            if subject.timer is None:
                subject.timer = asyncio.get_running_loop().call_later(wait, self._settle_again, subject)
            return
        if is_begun:
            subject.told_at = time.monotonic()
        subject.is_told = is_begun
        self._put(subject, "begun" if is_begun else "ended")

    def _settle_again(self, subject: _Subject) -> None:
        subject.timer = None
        self._settle(subject)

    def _wait(self, subject: _Subject) -> None:
        subject.timer = asyncio.get_running_loop().call_later(INTERVAL, self._end_wait, subject)

    def _end_wait(self, subject: _Subject) -> None:
        subject.timer = None
        if subject.more:
            subject.more -= 1  # the last one is sent itself
            self._put(subject, "event")
            subject.more = 0
            self._wait(subject)

    def _forget(self, source: int) -> None:
        del self._forgetting[source]
        for subject in self._subjects.values():
            if source in subject.sources:
                subject.sources.discard(source)
                self._settle(subject)

    def _put(self, subject: _Subject, state: AlertState) -> None:
        report = subject.last
        assert report is not None  # noqa: S101
        text = report.text if report.state == state else f"It has ended: {report.text}"
        alert = Alert(
            report.kind, report.subject, state, text, self._service, self._host, datetime.now(UTC), subject.more
        )
        try:
            self._queue.put_nowait(alert)
            self._drops = False
        except asyncio.QueueFull:
            if not self._drops:
                self._drops = True
                logger.warning("Alerts are dropped: %d wait for the hook.", MAX_WAITING)

    async def _wait_for_turn(self) -> None:
        now = time.monotonic()
        if len(self._sent) == MAX_PER_MINUTE and (wait := self._sent[0] + 60 - now) > 0:
            await asyncio.sleep(wait)

    async def _send(self, alert: Alert) -> None:
        try:
            async with asyncio.timeout(HOOK_TIMEOUT):
                await self._hook(alert)
        except TimeoutError:
            logger.warning("An alert was not sent within %g seconds: %s", HOOK_TIMEOUT, alert.text)
        except Exception as exc:  # the hook is the service's own
            logger.warning("An alert was not sent (%s: %s): %s", type(exc).__name__, exc, alert.text)


@asynccontextmanager
async def open_alerts(hook: AlertHook | None, service: str) -> AsyncIterator[Dispatcher | None]:
    """Send the alerts of the main process and its workers inside the block. Without a hook, nothing is sent."""
    if hook is None:
        yield None
        return
    dispatcher, loop = Dispatcher(hook, service), asyncio.get_running_loop()

    def send(report: Report) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(dispatcher.receive, report)

    send_reports_to(send)
    sending = asyncio.create_task(dispatcher.run(), name="alerts")
    try:
        yield dispatcher
        await asyncio.sleep(0)  # for reports of threads
    finally:
        send_reports_to(None)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await dispatcher.send_waiting()
        dispatcher.close()
