"""Values that a process samples instead of counting them: the lag of its event loop, pools, counts of other code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sanicbase.metrics.instruments import Histogram, is_counting

__all__ = ["sample", "sampled"]


LAG = Histogram(
    "sanicbase_event_loop_lag_seconds",
    "How late a timer of the event loop is called, measured four times a second in each process.",
)
INTERVAL = 0.25  # seconds

_samplers: list[Callable[[], None]] = []


@contextmanager
def sampled(sampler: Callable[[], None]) -> Iterator[None]:
    """If this process counts, call `sampler` four times a second inside the block, and once more at its end, to set
    gauges. It must not fail."""
    if not is_counting():
        yield
        return
    _samplers.append(sampler)
    try:
        yield
    finally:
        _samplers.remove(sampler)
        sampler()


async def sample() -> None:
    """Measure and sample until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL
        await asyncio.sleep(INTERVAL)
        LAG.observe(max(0.0, loop.time() - due))
        for sampler in _samplers:
            sampler()
