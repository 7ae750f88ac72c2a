"""Values that a process samples instead of counting them: the lag of its event loop, pools, counts of other code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sanicbase.metrics.demand import follow_demand
from sanicbase.metrics.instruments import Histogram
from sanicbase.metrics.shared_values import SharedValues

__all__ = ["sample", "sampled"]


LAG = Histogram(
    "sanicbase_event_loop_lag_seconds",
    "How late a timer of the event loop is called, measured four times a second in each process.",
)
INTERVAL = 0.25  # seconds
IDLE_INTERVAL = 1.0  # seconds after which a process that does not count looks whether it is to

_samplers: list[Callable[[], None]] = []


@contextmanager
def sampled(sampler: Callable[[], None]) -> Iterator[None]:
    """While this process counts everything, call `sampler` four times a second inside the block, and once at its end,
    to set gauges. It must not fail."""
    _samplers.append(sampler)
    try:
        yield
    finally:
        _samplers.remove(sampler)
        sampler()


async def sample(shared: SharedValues) -> None:
    """Follow the demand of these values, and measure and sample while all is counted, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        if not follow_demand(shared):
            await asyncio.sleep(IDLE_INTERVAL)
            continue
        due = loop.time() + INTERVAL
        await asyncio.sleep(INTERVAL)
        LAG.observe(max(0.0, loop.time() - due))
        for sampler in _samplers:
            sampler()
