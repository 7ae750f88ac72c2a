"""The lengths of queues, as metrics of each worker that takes jobs from them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sanicbase.jobs.queues.interface import UNREACHED, Queue
from sanicbase.jobs.queues.redis_queue import RedisQueue
from sanicbase.metrics import Gauge

__all__ = ["measure_queues"]

JOBS = Gauge("sanicbase_job_queue_jobs", "The jobs of a queue by their state.", ["queue", "state"], takes_maximum=True)
INTERVAL = 5.0  # seconds


async def measure_queues(queues: Sequence[Queue]) -> None:
    """Set the gauge of the queues that are in Redis every few seconds, until cancelled. While Redis does not respond,
    it keeps its values. Queues of other brokers are measured by exporters of these."""
    measured = [queue for queue in queues if isinstance(queue, RedisQueue)]
    while measured:
        for queue in measured:
            try:
                for state, count in (await queue.lengths()).items():
                    JOBS.set(count, queue.name, state)
            except UNREACHED:
                continue
        await asyncio.sleep(INTERVAL)
