"""The auditor finds what should not be cached, and nothing else; no request waits for it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tortoise.connection import get_connection

from sanicbase import get_redis
from sanicbase.cache.audit import MAX_AUDITS, Auditor
from sanicbase.cache.model_cache import ModelCache
from sanicbase.cache.stats import Stats
from tests.cache.opening import library, past_the_model
from tests.cache.places import Place, PlaceRC
from tests.cache.test_local import tier


@asynccontextmanager
async def audited(db_url: str, redis_url: str, *, rate: float = 1, max_lag: float = 0.2) -> AsyncIterator[Stats]:
    """Three places that are cached, and the counters of this process."""
    settings: dict[str, Any] = {"CACHE_AUDIT_RATE": rate, "CACHE_LOCAL_MAX_LAG": max_lag}
    async with library(db_url, redis_url, models="tests.cache.places", **settings):
        await Place.bulk_create([Place(id=n, name=f"p{n}") for n in (1, 2, 3)])
        await PlaceRC.get_many([1, 2, 3], fresh=True)
        opened().count = _not_counted  # type: ignore[method-assign]
        opened().stats.take()
        yield opened().stats


async def _not_counted() -> None:
    """The counters stay in this process."""


def opened() -> ModelCache:
    model_cache = PlaceRC._opened
    assert isinstance(model_cache, ModelCache)
    return model_cache


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not fact():
            await asyncio.sleep(0.005)


async def test_right_entries_are_audited(db_url: str, redis_url: str) -> None:
    async with audited(db_url, redis_url) as stats:
        for _ in range(20):
            await PlaceRC.get(1, fresh=True)
            await PlaceRC.get(9, fresh=True)  # a cached absence
            await until(lambda: not running())
        assert stats.audited > 20
        assert stats.mismatched == 0


async def test_a_planted_stale_entry_is_found(db_url: str, redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "sanicbase.cache")
    async with audited(db_url, redis_url) as stats:
        await past_the_model("UPDATE place SET name = 'new' WHERE id = 1")
        for _ in range(3):
            await PlaceRC.get(1, fresh=True)
            await until(lambda: not running())
        assert stats.mismatched == 3
        assert (await PlaceRC.get_many([2, 3], fresh=True)) == [PlaceRC(id=n, name=f"p{n}") for n in (2, 3)]
        await until(lambda: not running())
        assert stats.mismatched == 3
    assert caplog.text.count("The cached entry k:1 of PlaceRC differs from the database") == 1


async def test_a_planted_absence_is_found(db_url: str, redis_url: str) -> None:
    async with audited(db_url, redis_url) as stats:
        await PlaceRC.get(9, fresh=True)
        await past_the_model("INSERT INTO place (id, name) VALUES (9, 'p9')")
        await PlaceRC.get(9, fresh=True)
        await until(lambda: stats.mismatched)
        assert stats.mismatched == 1


async def test_a_planted_entry_in_memory_is_found(db_url: str, redis_url: str) -> None:
    """Redis and the database agree; only this process has something else."""
    async with audited(db_url, redis_url) as stats:
        await PlaceRC.get(1, fresh=True)
        copy = tier().copies[opened().entries.entry_prefix + "k:1"]
        copy.value = PlaceRC(id=1, name="planted")
        await until(lambda: not running())
        stats.take()
        assert await PlaceRC.get(1) == PlaceRC(id=1, name="planted")
        await until(lambda: not running())
        assert (stats.audited, stats.mismatched) == (1, 1)


def running() -> set[Any]:
    auditor = opened().entries.auditor
    assert auditor is not None
    return auditor._sampler._tasks


class Gated:
    """An auditor whose reads of the primary are held."""

    def __init__(self) -> None:
        auditor = opened().entries.auditor
        assert auditor is not None
        self._load = auditor._load
        auditor._load = self.load
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def load(self, values: Any) -> Any:
        self.reached.set()
        await self.open.wait()
        return await self._load(values)


class Hasty(Auditor):
    """The control: it does not look whether the entry is still the same."""

    async def _is_same(self, audit: Any) -> bool | None:
        before = await self._fetch(audit.key)
        return None if before is None else bool(await self._load(audit.values) == before[1])


@pytest.mark.parametrize("hasty", [False, True], ids=["ours", "a control"])
async def test_an_entry_that_is_replaced_meanwhile_is_no_mismatch(db_url: str, redis_url: str, hasty: bool) -> None:
    async with audited(db_url, redis_url) as stats:
        gate = Gated()
        if hasty:
            opened().entries.auditor.__class__ = Hasty
        await PlaceRC.get(1, fresh=True)
        await gate.reached.wait()
        await Place.filter(id=1).update(name="new")
        for _ in range(2):
            await PlaceRC.get(1, fresh=True)  # stored again
        gate.open.set()
        await until(lambda: not running())
        assert (stats.mismatched > 0) is hasty
        assert stats.unaudited or hasty


async def test_writers_make_no_mismatch(db_url: str, redis_url: str) -> None:
    """Every hit is audited while the rows are written all the time."""
    async with audited(db_url, redis_url) as stats:

        async def write() -> None:
            number = 0
            while True:
                number += 1
                await Place.filter(id=random.randint(1, 3)).update(name=f"n{number}")
                await asyncio.sleep(random.uniform(0, 0.03))

        writer = asyncio.create_task(write())
        try:
            async with asyncio.timeout(60):
                while stats.audited < 60:
                    await PlaceRC.get(random.randint(1, 3), fresh=random.random() < 0.5)
                    await asyncio.sleep(0.002)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        assert stats.mismatched == 0


async def test_no_request_waits_and_few_audits_run(db_url: str, redis_url: str) -> None:
    async with audited(db_url, redis_url) as stats:
        gate = Gated()
        async with asyncio.timeout(20):
            for number in range(50):
                assert await PlaceRC.get(1 + number % 3, fresh=True) is not None
                assert len(running()) <= MAX_AUDITS
        assert stats.unaudited == 50 - MAX_AUDITS
        gate.open.set()


async def test_an_audit_that_fails_is_only_counted(db_url: str, redis_url: str) -> None:
    async with audited(db_url, redis_url) as stats:
        await get_connection("default").execute_script("ALTER TABLE place RENAME TO away")
        assert await PlaceRC.get(1, fresh=True) == PlaceRC(id=1, name="p1")
        await until(lambda: stats.unaudited)
        assert (stats.audited, stats.mismatched) == (0, 0)
        await get_connection("default").execute_script("ALTER TABLE away RENAME TO place")


async def test_the_counters_are_those_of_all_processes(db_url: str, redis_url: str) -> None:
    async with library(db_url, redis_url, models="tests.cache.places", CACHE_AUDIT_RATE=1):
        await Place.create(id=1, name="p1")
        for _ in range(2):
            await PlaceRC.get(1, fresh=True)
        async with asyncio.timeout(20):
            while not (await PlaceRC.stats()).audited:
                await asyncio.sleep(0.05)
        assert int(await get_redis().hget("library:rc:PlaceRC:stats", "audited") or 0) == 1


@pytest.mark.parametrize(("rate", "least", "most"), [(0.2, 100, 300), (0.8, 700, 900)])
async def test_the_rate_is_a_share_of_all_hits(db_url: str, redis_url: str, rate: float, least: int, most: int) -> None:
    async with audited(db_url, redis_url, rate=rate) as stats:
        Gated()
        for _ in range(1000):
            await PlaceRC.get(1, fresh=True)
        assert least < stats.unaudited + len(running()) < most


async def test_without_a_rate_there_is_no_auditor(db_url: str, redis_url: str) -> None:
    async with audited(db_url, redis_url, rate=0):
        assert opened().entries.auditor is None
