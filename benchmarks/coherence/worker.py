"""One process of the load: it reads all the time, writes now and then, and at the end compares what is left."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.coherence.caches import Cache, Naive, Ours
from benchmarks.coherence.delays import slow_down
from benchmarks.coherence.log import Log, Written
from benchmarks.coherence.shelf import KEYS, SLUGS, CachedItem, Item, ShelfConfig
from benchmarks.coherence.writers import Undone, Writer
from sanicbase import lifespan
from sanicbase.cache.stats import Stats
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import ResourceError

__all__ = ["Plan", "run"]

READERS, WRITERS = 12, 2  # tasks of a process
REST = 0.12  # seconds between two writes of a task, on average
CANCELLED = 0.1  # of the writes


@dataclass(frozen=True)
class Plan:
    """What a process is to do, and until when, by the machine's clock."""

    config: ShelfConfig
    log: Path
    until: float
    compare_at: float
    naive: bool
    steady: bool  # it is never killed, writes past the model, and compares
    seed: int


async def run(plan: Plan) -> None:
    """Be that process to the end."""
    random.seed(plan.seed)
    log = Log(plan.log)
    slow_down()
    _count_into(log)
    cache: Cache = Naive() if plan.naive else Ours()
    async with lifespan(plan.config):
        writer = Writer(cache, steady=plan.steady, name=f"{os.getpid()}-{plan.seed}")
        async with asyncio.TaskGroup() as tasks:
            for _ in range(READERS):
                tasks.create_task(_read(plan, cache, log))
            for _ in range(WRITERS):
                tasks.create_task(_write(plan, writer, log))
            tasks.create_task(_flush(plan, log))
        if plan.steady:
            await asyncio.sleep(max(0.0, plan.compare_at - time.monotonic()))
            await _compare(cache, log)
            await asyncio.sleep(1.2)  # until all is counted
        log.flush()


def _count_into(log: Log) -> None:
    take = Stats.take

    def counted(stats: Stats) -> dict[str, int]:
        counters = take(stats)
        log.note("stats", counters)
        return counters

    Stats.take = counted  # type: ignore[method-assign]


async def _flush(plan: Plan, log: Log) -> None:
    while time.monotonic() < plan.until:
        await asyncio.sleep(0.05)
        log.flush()


async def _read(plan: Plan, cache: Cache, log: Log) -> None:
    while time.monotonic() < plan.until:
        kind = random.choices(("get", "many", "by", "refresh"), (50, 15, 30, 1))[0]
        key = random.choice(KEYS)
        start = time.monotonic()
        if kind == "many":
            entries = await cache.get_many(KEYS)
            end = time.monotonic()
            for number, entry in zip(KEYS, entries, strict=True):
                log.got(number, None, start, end, entry)
        elif kind == "by":
            slug = random.choice(SLUGS[key])
            entry = await cache.get_by(slug)
            log.got(key, slug, start, time.monotonic(), entry)
        else:
            entry = await (cache.get(key) if kind == "get" else cache.refresh(key))
            log.got(key, None, start, time.monotonic(), entry)
        await asyncio.sleep(random.random() * 0.01)


async def _write(plan: Plan, writer: Writer, log: Log) -> None:
    while time.monotonic() < plan.until:
        await asyncio.sleep(random.expovariate(1 / REST))
        start = time.monotonic()
        limit = random.uniform(0.001, 0.06) if random.random() < CANCELLED else None
        try:
            async with _cancelled_after(limit):
                written = await writer.write(start)
        except (Undone, TimeoutError, DatabaseError, ResourceError) as exc:
            log.note("failed", type(exc).__name__)
            continue
        end = time.monotonic()
        for key, version, token in written:
            log.note("write", Written(key, start, end, version, token))
        for key in writer.strange:
            log.note("own", key)
        writer.strange.clear()


@asynccontextmanager
async def _cancelled_after(limit: float | None) -> AsyncIterator[None]:
    async with asyncio.timeout(limit):
        yield


async def _compare(cache: Cache, log: Log) -> None:
    """Every way to read each key, beside its row, when all is over."""
    rows = {row.id: CachedItem.model_validate(row) for row in await Item.all()}
    for _ in range(2):  # the second finds what the first has stored
        for key in KEYS:
            reads: list[Any] = [partial(cache.get, key), partial(cache.get_by, SLUGS[key][0])]
            reads.append(partial(cache.get_by, SLUGS[key][1]))
            row = rows.get(key)
            right = [row, *(row if row is not None and row.slug == slug else None for slug in SLUGS[key])]
            for read, expected in zip(reads, right, strict=True):
                if (entry := await read()) != expected:
                    log.note("different", [key, str(entry), str(expected)])
        if await cache.get_many(KEYS) != [rows.get(key) for key in KEYS]:
            log.note("different", ["many", "", ""])
    log.note("compared", len(KEYS))
