"""A service's jobs in the test's own process, with a worker that can be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from nats.js.errors import NotFoundError

from sanicbase.brokers import get_broker
from sanicbase.brokers.jetstream import NatsBroker
from sanicbase.brokers.rabbitmq import RabbitBroker
from sanicbase.config import Config
from sanicbase.jobs import Job
from sanicbase.jobs.worker import run_jobs

__all__ = ["remove_queues", "until", "working"]


@asynccontextmanager
async def working(
    config: Config, *jobs: Job[Any], concurrency: int = 10, pool_size: int = 2
) -> AsyncIterator[asyncio.Task[None]]:
    """A worker of these jobs, inside of an open lifespan; it is stopped at the end of the block, and awaited."""
    task = asyncio.create_task(run_jobs(jobs, config, concurrency=concurrency, pool_size=pool_size))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(fact: Callable[[], object], seconds: float = 60) -> None:
    """Return when the fact is true."""
    async with asyncio.timeout(seconds):
        while not fact():
            await asyncio.sleep(0.01)


async def remove_queues(service: str) -> None:
    """Remove the default queue of that service from the broker of JOBS_URL, if there is one."""
    broker = get_broker()
    if isinstance(broker, RabbitBroker):
        channel = await broker.publishing()
        for part in ("", ".dead"):
            await channel.queue_delete(f"{service}.jobs.default{part}")
    elif isinstance(broker, NatsBroker):
        jetstream = await broker.jetstream()
        for part in ("", "-dead"):
            with suppress(NotFoundError):
                await jetstream.delete_stream(f"{service}-jobs-default{part}")
