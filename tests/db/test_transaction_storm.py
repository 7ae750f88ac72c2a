"""Many transactions at once: cancelled at any moment, or in each other's way."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import pytest

from sanicbase.db import on_commit, transaction
from sanicbase.db.background import wait_for_background_tasks
from sanicbase.db.errors import DatabaseError
from tests.db.library import Tally
from tests.db.opening import Store, opened
from tests.db.test_transaction_machine import check_pool, listening

POOL = 5
CALLERS = 200
SEED = os.environ.get("SANICBASE_TEST_SEED", "")


class Failed(Exception):
    pass


@pytest.fixture(autouse=True)
async def library(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.library", DB_POOL_SIZE=POOL, DB_ACQUIRE_TIMEOUT=30):
        yield


async def caller(name: str, ran: list[str]) -> None:
    """Two rows, one of them in a savepoint that is kept, and one in a savepoint that is not."""
    async with transaction():
        await Tally.create(name=name)
        await on_commit(partial(ran.append, name))
        with suppress(Failed):
            async with transaction():
                await Tally.create(name=f"{name}-dropped")
                await on_commit(partial(ran.append, f"{name}-dropped"))
                raise Failed
        async with transaction():
            await Tally.bulk_create([Tally(name=f"{name}-kept")])
            await on_commit(partial(ran.append, f"{name}-kept"))


@pytest.mark.parametrize("watched", [False, True])
async def test_rows_and_effects_agree_after_a_storm_of_cancellations(store: Store, watched: bool) -> None:
    chance = random.Random(f"{store.kind} {watched}{SEED}")
    ran: list[str] = []
    with listening(*([Tally] if watched else [])) as recorder:
        tasks = [asyncio.create_task(caller(str(number), ran)) for number in range(CALLERS)]
        waiting = list(tasks)
        while waiting:
            await asyncio.sleep(chance.uniform(0, 0.02))
            for task in chance.sample(waiting, k=min(len(waiting), chance.randrange(5))):
                for _ in range(chance.randrange(20)):
                    await asyncio.sleep(0)
                task.cancel()
            waiting = [task for task in waiting if not task.done()]
        await wait_for_background_tasks(10)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(one) for one in ended} == {type(None), asyncio.CancelledError}
    await check_pool(store, POOL)
    rows = sorted([row.name for row in await Tally.all()])
    assert sorted(ran) == rows
    for number, end in enumerate(ended):
        if end is None:
            assert str(number) in rows
        assert (str(number) in rows) == (f"{number}-kept" in rows)
    assert sorted(id(write) for _, write in recorder.events) == sorted(id(write) for _, write in recorder.announced)
    outcomes = {id(write): ending for ending, write in recorder.events}
    for _, write in recorder.announced:
        for row in write.rows or ():
            whole = row["name"].partition("-")[0]
            assert outcomes[id(write)] == ("committed" if whole in rows else "rolled back")


async def test_rows_and_effects_agree_when_savepoints_run_out_of_time(store: Store) -> None:
    """At any moment: between statements the rest goes on without the savepoint, during one the whole has ended."""
    chance = random.Random(store.kind + SEED)
    ran: list[str] = []
    dropped = 0

    async def part(name: str) -> None:
        nonlocal dropped
        try:
            async with asyncio.timeout(chance.uniform(0, 0.02)), transaction():
                await Tally.create(name=name)
                await on_commit(partial(ran.append, name))
                await asyncio.sleep(chance.uniform(0, 0.01))
                await Tally.bulk_create([Tally(name=f"{name}-second")])
                await asyncio.sleep(chance.uniform(0, 0.01))
        except TimeoutError:
            dropped += 1

    async def whole(number: int) -> None:
        async with transaction():
            await on_commit(partial(ran.append, str(number)))
            await Tally.create(name=str(number))
            if number % 3:
                for place in range(3):
                    await part(f"{number}.{place}")
            else:
                await asyncio.gather(*(part(f"{number}.{place}") for place in range(3)))
            await Tally.create(name=f"{number}-second")

    ended = await asyncio.gather(*map(whole, range(60)), return_exceptions=True)
    assert {type(one) for one in ended} <= {type(None), DatabaseError}
    assert dropped
    rows = sorted([row.name for row in await Tally.all()])
    assert rows == sorted([*ran, *(f"{name}-second" for name in ran)])
    assert [str(number) in rows for number in range(60)] == [one is None for one in ended]
    await check_pool(store, POOL)


@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
async def test_increments_in_each_others_way_are_all_counted(store: Store, isolation: str) -> None:
    if store.kind != "postgres" and isolation == "repeatable read":
        pytest.skip("a snapshot there does not keep two from writing what they have read")
    tasks, rounds = 10, 20
    await Tally.bulk_create([Tally(name="a"), Tally(name="b")])
    ran: list[int] = []
    tries = 0

    @transaction(isolation=isolation, retry=200)  # type: ignore[arg-type]
    async def increment(number: int) -> None:
        nonlocal tries
        tries += 1
        for name in ("a", "b"):
            row = await Tally.get(name=name)
            row.n += 1
            await row.save()
        await on_commit(partial(ran.append, number))

    async def work(number: int) -> None:
        for _ in range(rounds):
            await increment(number)

    async with asyncio.timeout(100):
        await asyncio.gather(*map(work, range(tasks)))
    assert {row.name: row.n for row in await Tally.all()} == {"a": tasks * rounds, "b": tasks * rounds}
    assert sorted(ran) == sorted([number for number in range(tasks) for _ in range(rounds)])
    assert tries > tasks * rounds or store.kind == "sqlite"
    await check_pool(store, POOL)


async def test_deadlocks_are_tried_again(store: Store) -> None:
    if store.kind == "sqlite":
        pytest.skip("one transaction at a time, in this process")
    await Tally.bulk_create([Tally(name="a"), Tally(name="b")])
    both = asyncio.Barrier(2)
    tries = 0

    @transaction(retry=5)
    async def cross(first: str, second: str) -> None:
        nonlocal tries
        tries += 1
        again = tries > 2
        await Tally.filter(name=first).select_for_update().get()
        if not again:
            await both.wait()
        for name in (second, first):
            row = await Tally.filter(name=name).select_for_update().get()
            row.n += 1
            await row.save()

    async with asyncio.timeout(60):
        await asyncio.gather(cross("a", "b"), cross("b", "a"))
    assert tries == 3
    assert [row.n for row in await Tally.all()] == [2, 2]


async def test_a_storm_of_failures_leaves_nothing_open(store: Store) -> None:
    """Errors of the database and of the program, at every depth."""
    await Tally.create(name="there")

    async def fails(number: int) -> None:
        async with transaction():
            await Tally.create(name=str(number))
            with suppress(DatabaseError):
                async with transaction():
                    await Tally.create(name="there")
            if number % 2:
                raise Failed

    results = await asyncio.gather(*map(fails, range(60)), return_exceptions=True)
    assert [type(one) for one in results] == [type(None), Failed] * 30
    assert len(await Tally.all()) == 31
    await check_pool(store, POOL)
