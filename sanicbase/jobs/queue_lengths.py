"""The lengths of queues, as metrics of each worker that takes jobs from them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sanicbase.jobs.queues.interface import UNREACHED, Queue
from sanicbase.metrics import Gauge

__all__ = ["measure_queues"]

JOBS = Gauge("sanicbase_job_queue_jobs", "The jobs of a queue by their state.", ["queue", "state"], takes_maximum=True)
INTERVAL = 5.0  # seconds


async def measure_queues(queues: Sequence[Queue]) -> None:
    """Set the gauge of these queues every few seconds, until cancelled. While the server does not respond, it keeps its
    values."""
    while True:
        for queue in queues:
            try:
                for state, count in (await queue.lengths()).items():
                    JOBS.set(count, queue.name, state)
            except UNREACHED:
                continue
        await asyncio.sleep(INTERVAL)
