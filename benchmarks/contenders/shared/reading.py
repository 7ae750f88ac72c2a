"""Reads of a cache, counted in the process that makes them.

The harness talks to it by lines of JSON: it sends the plan, gets everything that was read, and says `go` if that is
right; then it gets the report. A contender gives `main` something that opens its cache.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

Row = dict[str, Any]


class Cache(Protocol):
    """What is compared. `get` and `get_many` return what a program would go on with: dictionaries, or models."""

    async def store(self, rows: Sequence[Row]) -> None:
        """Have them in the cache."""

    async def get(self, key: int) -> Any:
        """One of them."""

    async def get_many(self, keys: Sequence[int]) -> Sequence[Any]:
        """Several, in this order."""

    def as_json(self, value: Any) -> Any:
        """What was read, for the comparison with what was stored."""


@dataclass(frozen=True)
class Plan:
    """Times are in seconds. With a `batch`, so many keys are read at once."""

    rows: list[Row]
    concurrency: int
    batch: int
    seconds: float
    warm_up: float


@dataclass
class Report:
    """What was counted."""

    reads: int
    seconds: float
    cpu: float
    p50: float
    p99: float


def main(opening: Callable[[], AbstractAsyncContextManager[Cache]]) -> None:
    """Do what the harness says."""
    import uvloop  # not every process that imports this one runs it

    uvloop.run(_serve(opening))


async def _serve(opening: Callable[[], AbstractAsyncContextManager[Cache]]) -> None:
    plan = Plan(**json.loads(sys.stdin.readline()))
    async with opening() as cache:
        await cache.store(plan.rows)
        keys = [row["id"] for row in plan.rows]
        single = [cache.as_json(await cache.get(key)) for key in keys]
        several = [cache.as_json(value) for value in await cache.get_many(keys)]
        print(json.dumps([single, several]), flush=True)
        if sys.stdin.readline() == "go\n":
            print(json.dumps(asdict(await _measure(cache, plan, keys))), flush=True)


async def _measure(cache: Cache, plan: Plan, keys: list[int]) -> Report:
    latencies: list[float] = []
    running = True

    async def read(start: int) -> None:
        place = start
        while running:
            place = (place + plan.batch) % (len(keys) - plan.batch)
            begun = time.perf_counter()
            if plan.batch == 1:
                await cache.get(keys[place])
            else:
                await cache.get_many(keys[place : place + plan.batch])
            latencies.append(time.perf_counter() - begun)

    tasks = [asyncio.create_task(read(number * 7)) for number in range(plan.concurrency)]
    await asyncio.sleep(plan.warm_up)
    latencies.clear()
    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(plan.seconds)
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - begun
    ordered = sorted(latencies)
    running = False
    await asyncio.gather(*tasks)
    return Report(len(ordered), seconds, cpu, ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)])
