"""HeartbeatThread: a thread that renews the leases of runs while the event loop of the worker is blocked.

Normally the loop's own heartbeat renews them, and only it learns of a lost lease. The thread only watches how long that
heartbeat has been silent, and opens a connection while it needs one. After PATIENCE, the loop counts as hung, and the
leases expire: other workers take over its jobs.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sanicbase.jobs.queues.interface import UNREACHED
from sanicbase.jobs.queues.opening import short_lived_queue

__all__ = ["HeartbeatThread"]

SILENCE = 3.0  # seconds without a heartbeat of the loop, which beats every 1.5; the lease lasts seven
PATIENCE = 60.0  # seconds after which a blocked loop counts as hung
INTERVAL = 1.0  # seconds


class HeartbeatThread:
    """The thread of one worker, for its queues in a Redis; on a Cluster and behind Sentinels it does nothing."""

    def __init__(self, consumer: str, entries: Callable[[], Mapping[str, Sequence[str]]]) -> None:
        """`entries` returns the entries of the runs in progress by queue. The thread calls it."""
        self._consumer = consumer
        self._entries = entries
        self._beaten = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="second heartbeat of jobs", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def beat(self) -> None:
        """Record a heartbeat of the event loop."""
        self._beaten = time.monotonic()

    async def stop(self) -> None:
        """End the thread, and await it."""
        self._stopped.set()
        await asyncio.to_thread(self._thread.join)

    def _watch(self) -> None:
        while not self._stopped.wait(INTERVAL):
            if SILENCE < time.monotonic() - self._beaten < PATIENCE and (entries := self._entries()):
                with suppress(*UNREACHED):  # the next beat may reach it
                    asyncio.run(self._renew(entries))

    async def _renew(self, entries: Mapping[str, Sequence[str]]) -> None:
        for name, running in entries.items():
            async with short_lived_queue(name) as queue:
                if queue is not None:
                    await queue.keep(self._consumer, running)
