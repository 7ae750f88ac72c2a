"""Databases opened and closed several times in a process: what a life leaves behind, and what it waits for."""

from __future__ import annotations

import asyncio
import gc
import threading
from functools import partial
from pathlib import Path

import pytest

from sanicbase import ConfigError, DatabaseUnavailable
from sanicbase.db import DBModel, background, database, on_commit, spawn, transaction
from sanicbase.db.engine.sqlite import client_class
from sanicbase.db.observers import unwatch, watch, watched_dependents
from tests.db.library import Author, Book, Tally
from tests.db.opening import Store, opened
from tests.db.test_writes import watching
from tests.db.unseen import Chair, Garden, Room, Tree


async def names() -> list[str]:
    return sorted([row.name for row in await Tally.all()])


async def test_background_tasks_end_before_the_databases_are_closed(store: Store) -> None:
    async def slow(name: str) -> None:
        await asyncio.sleep(0.05)
        await Tally.create(name=name)

    async def spawns() -> None:
        await slow("first")
        spawn(slow("second"))

    async with opened(store, "tests.db.library"):
        spawn(spawns())
        async with transaction():
            await on_commit(partial(slow, "effect"))
    async with opened(store, "tests.db.library"):
        assert await names() == ["effect", "first", "second"]


async def test_endless_background_tasks_are_cancelled_and_do_not_keep_the_databases_open(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BACKGROUND_TASKS_TIMEOUT", 0.1)
    monkeypatch.setattr(background, "CANCEL_TIMEOUT", 0.1)
    go_on = asyncio.Event()

    async def refuses() -> None:
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            await go_on.wait()

    async with opened(store, "tests.db.library"):
        sleeper = spawn(asyncio.sleep(60), name="sleeper")
        stubborn = spawn(refuses(), name="stubborn")
    assert sleeper.cancelled()
    assert "The background task sleeper was cancelled" in caplog.text
    assert not stubborn.done()
    go_on.set()
    await stubborn


def test_leftovers_of_one_loop_do_not_disturb_the_next(store: Store) -> None:
    ran: list[int] = []

    async def live(number: int) -> None:
        async with opened(store, "tests.db.library"):
            async with transaction():
                await Tally.create(name=str(number))
                await on_commit(partial(ran.append, number))
            spawn(asyncio.sleep(0), name="left")

    for number in range(3):
        asyncio.run(live(number))
        gc.collect()
    assert ran == [0, 1, 2]
    assert not background._tasks


async def test_facts_about_a_model_are_computed_again_for_other_databases(store: Store) -> None:
    with watching(Book):
        async with opened(store, "tests.db.unseen"):
            assert watched_dependents(Author) == set()
        async with opened(store, "tests.db.library"):
            assert watched_dependents(Author) == {Book}


@pytest.mark.parametrize("model", [Room, Chair])
async def test_a_watched_model_that_changes_unseen_is_refused(store: Store, model: type[DBModel]) -> None:
    with watching(model), pytest.raises(ConfigError, match=r"Room\.house references House, which is not a DBModel"):
        async with opened(store, "tests.db.unseen"):
            raise AssertionError


@pytest.mark.parametrize("model", [Garden, Tree])
async def test_a_watched_model_whose_parents_cannot_go_is_fine(store: Store, model: type[DBModel]) -> None:
    with watching(model):
        async with opened(store, "tests.db.unseen"):
            assert await model.all().count() == 0


async def test_a_watched_model_of_another_service_is_ignored(store: Store) -> None:
    recorder = object()
    watch(Room, recorder)  # type: ignore[arg-type]
    try:
        async with opened(store, "tests.db.library"):
            await Tally.create(name="a")
            assert await Tally.all().count() == 1
    finally:
        unwatch(Room, recorder)  # type: ignore[arg-type]


async def test_a_file_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    """A thread of aiosqlite that ends after its loop writes a traceback."""
    client = client_class(str(tmp_path), connection_name="default")
    before = set(threading.enumerate())
    for _ in range(20):
        with pytest.raises(DatabaseUnavailable):
            await client.acquire()
        assert [thread for thread in threading.enumerate() if "connection_worker" in thread.name] == [
            thread for thread in before if "connection_worker" in thread.name
        ]
