"""Tasks that share a transaction, and what comes too late for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from sanicbase.db import on_commit, transaction
from sanicbase.db.engine.transactions import EngineTransaction
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DeadlockError, IntegrityError
from sanicbase.db.observers import Write, unwatch, watch
from tests.db.library import Tally
from tests.db.opening import Store, opened


class Failed(Exception):
    pass


class Slow:
    """A watcher whose `before_write` lasts until it is told to go on."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.events: list[str] = []

    async def before_write(self, write: Write) -> None:
        self.events.append("before")
        self.asked.set()
        await self.go_on.wait()
        self.events.append("and its end")

    async def before_commit(self, writes: Sequence[Write]) -> None:
        """Nothing is refused here."""

    async def committed(self, writes: Sequence[Write]) -> None:
        self.events.append("committed")

    async def rolled_back(self, writes: Sequence[Write]) -> None:
        self.events.append("rolled back")

    async def unknown(self, writes: Sequence[Write]) -> None:
        self.events.append("unknown")


@pytest.fixture(autouse=True)
async def library(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.library", DB_ACQUIRE_TIMEOUT=1):
        yield


async def names() -> list[str]:
    return sorted([row.name for row in await Tally.all()])


async def test_savepoints_of_several_tasks_take_turns() -> None:
    ran: list[str] = []

    async def block(name: str, *, fails: bool) -> None:
        async with transaction():
            await Tally.create(name=name)
            await on_commit(partial(ran.append, name))
            await asyncio.sleep(0.02)
            await Tally.create(name=f"{name}-again")
            if fails:
                raise Failed

    async with transaction():
        results = await asyncio.gather(
            *(block(str(number), fails=number % 2 == 1) for number in range(6)), return_exceptions=True
        )
    assert [type(one) for one in results] == [type(None), Failed] * 3
    assert await names() == ["0", "0-again", "2", "2-again", "4", "4-again"]
    assert ran == ["0", "2", "4"]


async def test_writes_of_many_rows_go_side_by_side_in_a_transaction() -> None:
    async with transaction():
        await asyncio.gather(
            Tally.bulk_create([Tally(name="a"), Tally(name="b")]),
            Tally.upsert({"name": "c", "n": 1}, on=["name"]),
            Tally.bulk_create([Tally(name="d")]),
            Tally.get_or_create(name="e"),
        )
    assert await names() == ["a", "b", "c", "d", "e"]


async def test_a_savepoint_takes_nothing_along_that_another_task_writes() -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()
    ran: list[str] = []

    async def fails() -> None:
        async with transaction():
            await Tally.create(name="in the savepoint")
            inside.set()
            await go_on.wait()
            raise Failed

    async def goes_on() -> None:
        await inside.wait()
        await on_commit(partial(ran.append, "outside"))
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await Tally.create(name="outside")

    async with transaction():
        await asyncio.gather(fails(), goes_on(), return_exceptions=True)
    assert await names() == ["outside"]
    assert ran == ["outside"]


async def test_waiting_inside_a_savepoint_for_a_task_outside_raises() -> None:
    async with transaction():
        task = asyncio.create_task(asyncio.sleep(0.01))
        late = asyncio.create_task(after(task, partial(Tally.create, name="outside")))
        async with transaction():
            await Tally.create(name="inside")
            with pytest.raises(DatabaseTimeout, match="has a savepoint open"):
                await late
    assert await names() == ["inside"]


async def after(first: asyncio.Task[Any], then: Callable[[], Awaitable[Any]]) -> None:
    await first
    await then()


async def test_a_transaction_named_inside_of_its_savepoint_is_the_savepoint() -> None:
    async with transaction() as outer:
        with pytest.raises(Failed):
            async with transaction():
                await Tally.bulk_create([Tally(name="a")], using_db=outer)
                await Tally.create(name="b", using_db=outer)
                async with outer._in_transaction():
                    await Tally.create(name="c")
                raise Failed
        await Tally.create(name="d", using_db=outer)
    assert await names() == ["d"]


async def test_a_task_that_outlives_its_savepoint_raises() -> None:
    go_on = asyncio.Event()

    async def late() -> None:
        await go_on.wait()
        with pytest.raises(DatabaseError, match=r"spawn\(…\)"):
            await on_commit(partial(print, "never"))
        with pytest.raises(DatabaseError, match=r"spawn\(…\)"):
            async with transaction():
                raise AssertionError
        await Tally.create(name="late")

    async with transaction():
        async with transaction():
            task = asyncio.create_task(late())
        go_on.set()
        with pytest.raises(DatabaseError, match=r"spawn\(…\)"):
            await task
        await Tally.create(name="a")
    assert await names() == ["a"]


async def test_a_savepoint_that_was_rolled_back_by_hand_is_over() -> None:
    async with transaction():
        await Tally.create(name="a")
        async with in_transaction() as savepoint:
            await Tally.create(name="b")
            await savepoint.rollback()
            with pytest.raises(DatabaseError, match="has ended"):
                await Tally.create(name="c")
    assert await names() == ["a"]


async def test_a_savepoint_that_cannot_be_kept_is_rolled_back(store: Store) -> None:
    if store.kind != "postgres":
        pytest.skip("an error that was caught takes nothing away")
    ran: list[str] = []
    await Tally.create(name="a")
    async with transaction():
        with pytest.raises(DatabaseError):
            async with transaction():
                await on_commit(partial(ran.append, "inner"))
                with pytest.raises(IntegrityError):
                    await Tally.create(name="a")
        await Tally.create(name="b")
        await on_commit(partial(ran.append, "outer"))
    assert await names() == ["a", "b"]
    assert ran == ["outer"]


async def test_nothing_is_committed_while_another_task_writes() -> None:
    first, second = Slow(), Slow()
    watch(Tally, first)
    watch(Tally, second)
    try:
        with pytest.raises(DatabaseError, match="Another task is in the middle"):
            async with transaction():
                task = asyncio.create_task(Tally.create(name="a"))
                await first.asked.wait()
                asyncio.get_running_loop().call_later(0.1, first.go_on.set)
        assert first.events == ["before", "and its end", "rolled back"]  # never the other way round
        with pytest.raises(DatabaseError, match="has ended"):
            await task
        assert second.events == []  # nobody is told of a write that can have no end
    finally:
        unwatch(Tally, first)
        unwatch(Tally, second)
    assert await names() == []


async def test_nothing_is_committed_while_another_task_has_a_savepoint_open() -> None:
    inside = asyncio.Event()

    async def block() -> None:
        async with transaction():
            await Tally.create(name="half")
            inside.set()
            await asyncio.sleep(0.1)
            await Tally.create(name="other half")

    with pytest.raises(DatabaseError, match="Another task is in the middle"):
        async with transaction():
            task = asyncio.create_task(block())
            await inside.wait()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], DatabaseError)
    assert await names() == []


async def test_an_effect_that_comes_after_the_commit_has_begun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could say whether it would run."""
    refused: list[BaseException] = []

    async with transaction() as connection:
        assert isinstance(connection, EngineTransaction)
        await Tally.create(name="a")
        original = connection.run

        async def run(driver: Any, command: str) -> None:
            await original(driver, command)
            try:
                await on_commit(partial(print, "never"))
            except DatabaseError as exc:
                refused.append(exc)

        monkeypatch.setattr(connection, "run", run)
        await asyncio.create_task(connection.commit())
    assert len(refused) == 1
    assert await names() == ["a"]


async def test_a_transaction_that_is_cancelled_during_the_statement_of_another_task(store: Store) -> None:
    """The other task is told, and the connection is not given to anybody else before that statement has ended."""
    slow = {
        "sqlite": "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 1000000) SELECT 1 FROM t",
        "postgres": "SELECT pg_sleep(1)",
    }.get(store.kind, "SELECT SLEEP(1)")
    late: list[asyncio.Task[Any]] = []

    async def cancelled() -> None:
        async with transaction() as connection:
            await Tally.create(name="a")
            late.append(asyncio.create_task(connection.execute_query(slow)))
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cancelled(), 0.2)
    for _ in range(12):
        async with transaction():
            await Tally.get_or_create(name="b")
    results = await asyncio.gather(*late, return_exceptions=True)
    assert store.kind == "sqlite" or isinstance(results[0], DatabaseError)
    assert await names() == ["b"]


async def test_an_effect_that_waits_for_what_was_cancelled_holds_up_nothing(caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []
    gone = asyncio.get_running_loop().create_future()
    gone.cancel()

    async def broken() -> None:
        await gone

    async with transaction():
        await Tally.create(name="a")
        await on_commit(broken)
        await on_commit(partial(ran.append, "after it"))
    assert ran == ["after it"]
    await on_commit(broken)
    assert caplog.text.count("broken failed") == 2


async def test_equal_and_unhashable_watchers_are_called_separately() -> None:
    @dataclass
    class Equal:
        events: list[str]

        async def before_write(self, write: Write) -> None:
            """Nothing."""

        async def before_commit(self, writes: Sequence[Write]) -> None:
            """Nothing is refused here."""

        async def committed(self, writes: Sequence[Write]) -> None:
            self.events.append("committed")

        async def rolled_back(self, writes: Sequence[Write]) -> None:
            self.events.append("rolled back")

        async def unknown(self, writes: Sequence[Write]) -> None:
            self.events.append("unknown")

    watchers = [Equal([]), Equal([])]
    ran: list[str] = []
    for watcher in watchers:
        watch(Tally, watcher)
    try:
        async with transaction():
            await Tally.create(name="a")
            await on_commit(partial(ran.append, "effect"))
    finally:
        for watcher in watchers:
            unwatch(Tally, watcher)
    assert [watcher.events for watcher in watchers] == [["committed"], ["committed"]]
    assert ran == ["effect"]


async def test_a_deadlock_that_was_swallowed_is_tried_again_all_the_same() -> None:
    tries = 0

    @transaction(retry=1)
    async def swallows() -> None:
        nonlocal tries
        tries += 1
        connection = get_connection("default")
        assert isinstance(connection, EngineTransaction)
        if tries == 1:
            connection.root.aborted_by = DeadlockError("another was in the way")
        await Tally.create(name=f"t{tries}")

    await swallows()
    assert await names() == ["t2"]


async def test_a_limit_that_ends_during_the_rollback_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatabaseTimeout, match=r"longer than 0\.2 seconds"):
        async with transaction(timeout=0.2) as connection:
            monkeypatch.setattr(connection, "rollback", partial(asyncio.sleep, 60))
            raise Failed
    async with transaction():
        await Tally.create(name="a")
    assert await names() == ["a"]
