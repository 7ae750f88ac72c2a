"""transaction(): all or nothing, isolation, time, another try; and what follows a commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from sanicbase.db import on_commit, spawn, transaction
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DeadlockError, SerializationError
from sanicbase.errors import SanicBaseError
from tests.db.library import Tally
from tests.db.opening import Store, opened


@pytest.fixture(autouse=True)
async def library(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.library"):
        yield


class Failed(Exception):
    pass


async def names() -> list[str]:
    return sorted([row.name for row in await Tally.all()])


async def test_a_transaction_is_committed_or_rolled_back() -> None:
    async with transaction():
        await Tally.create(name="kept")
    with pytest.raises(Failed):
        async with transaction():
            await Tally.create(name="dropped")
            raise Failed
    assert await names() == ["kept"]


async def test_a_block_inside_is_a_savepoint() -> None:
    async with transaction():
        await Tally.create(name="outer")
        with pytest.raises(Failed):
            async with transaction():
                await Tally.create(name="inner")
                raise Failed
        async with transaction():
            await Tally.create(name="other")
    assert await names() == ["other", "outer"]


async def test_a_cancelled_savepoint_is_rolled_back_and_the_transaction_continues() -> None:
    ran: list[str] = []

    async def inner() -> None:
        async with transaction():
            await Tally.create(name="inner")
            await on_commit(partial(ran.append, "inner"))
            await asyncio.sleep(60)

    async with transaction():
        await Tally.create(name="outer")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inner(), 0.2)
        await on_commit(partial(ran.append, "outer"))
    assert await names() == ["outer"]
    assert ran == ["outer"]


async def test_a_transaction_ends_in_time() -> None:
    with pytest.raises(DatabaseTimeout, match=r"longer than 0\.1 seconds"):
        async with transaction(timeout=0.1):
            await Tally.create(name="a")
            await asyncio.sleep(60)
    assert await names() == []
    async with transaction(timeout=5):
        await Tally.create(name="b")
    assert await names() == ["b"]


async def test_a_timeout_of_the_callers_own_stays_one() -> None:
    with pytest.raises(TimeoutError):
        async with transaction(timeout=30):
            await asyncio.wait_for(asyncio.sleep(60), 0.05)


async def test_isolation_is_the_one_asked_for(store: Store) -> None:
    async with transaction(isolation="serializable") as connection:
        await Tally.create(name="a")
        if store.kind == "postgres":  # MariaDB shows the session's level; see the write skew below
            rows = await connection.execute_query_dict("SELECT current_setting('transaction_isolation') AS level")
            assert rows[0]["level"] == "serializable"
        with pytest.raises(SanicBaseError, match="Only the outermost"):
            async with transaction(isolation="read committed"):
                raise AssertionError
    assert await names() == ["a"]


async def swap(first: str, second: str, turn: asyncio.Barrier) -> None:
    """Read one row and write the other: two of these at once are not serializable, and deadlock under locks."""
    read = await Tally.get(name=first)
    await turn.wait()
    await Tally.filter(name=second).update(n=read.n + 1)


async def test_write_skew_is_refused_when_serializable_and_retried(store: Store) -> None:
    if store.kind == "sqlite":
        pytest.skip("one transaction at a time, in this process")
    await Tally.bulk_create([Tally(name="a", n=1), Tally(name="b", n=1)])
    turn = asyncio.Barrier(2)

    async def once(first: str, second: str) -> None:
        async with transaction(isolation="serializable"):
            await swap(first, second, turn)

    results = await asyncio.gather(once("a", "b"), once("b", "a"), return_exceptions=True)
    assert [type(one) for one in results if one is not None] in ([SerializationError], [DeadlockError])

    tries = 0
    turn = asyncio.Barrier(2)

    @transaction(isolation="serializable", retry=3)
    async def again(first: str, second: str) -> int:
        nonlocal tries
        tries += 1
        if tries <= 2:
            await swap(first, second, turn)
        else:
            await Tally.filter(name=second).update(n=9)
        return tries

    await asyncio.gather(again("a", "b"), again("b", "a"))
    assert tries == 3


async def test_retry_ends_and_is_refused_where_it_cannot_work() -> None:
    tries = 0

    @transaction(retry=2)
    async def never() -> None:
        nonlocal tries
        tries += 1
        await Tally.create(name=f"t{tries}")
        raise SerializationError("another was in the way")

    with pytest.raises(SerializationError):
        await never()
    assert (tries, await names()) == (3, [])
    with pytest.raises(SerializationError):
        async with transaction():
            await never()
    assert tries == 4
    with pytest.raises(SanicBaseError, match="A block cannot be retried"):
        async with transaction(retry=1):
            raise AssertionError

    @transaction(retry=2)
    async def other_error() -> None:
        nonlocal tries
        tries += 1
        raise Failed

    with pytest.raises(Failed):
        await other_error()
    assert tries == 5


async def test_effects_follow_the_commit_in_order() -> None:
    ran: list[str] = []

    async def effect(name: str) -> None:
        assert await names() == ["a"]  # committed, and outside: this is another connection's view
        ran.append(name)

    async with transaction():
        await Tally.create(name="a")
        await on_commit(partial(effect, "1"))
        async with in_transaction():
            await on_commit(partial(effect, "2"))
        with pytest.raises(Failed):
            async with transaction():
                await on_commit(partial(effect, "never"))
                raise Failed
        await on_commit(lambda: ran.append("3"))
        assert ran == []
    assert ran == ["1", "2", "3"]
    await on_commit(partial(effect, "at once"))
    assert ran[-1] == "at once"


async def test_effects_of_a_rollback_never_run() -> None:
    ran: list[str] = []
    with pytest.raises(Failed):
        async with transaction():
            async with transaction():
                await on_commit(partial(ran.append, "inner"))
            await on_commit(partial(ran.append, "outer"))
            raise Failed
    async with in_transaction() as connection:
        await on_commit(partial(ran.append, "manual"))
        await connection.rollback()
    assert ran == []


async def test_a_failing_effect_is_logged_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []

    async def broken() -> None:
        raise Failed

    async with transaction():
        await Tally.create(name="a")
        await on_commit(partial(ran.append, "1"))
        await on_commit(broken)
        await on_commit(partial(ran.append, "2"))
    assert ran == ["1", "2"]
    assert await names() == ["a"]
    assert "broken failed" in caplog.text


async def test_a_caller_cancelled_during_the_effects_does_not_lose_them() -> None:
    ran: list[str] = []
    begun = asyncio.Event()
    go_on = asyncio.Event()

    async def slow() -> None:
        begun.set()
        await go_on.wait()
        ran.append("slow")

    async def caller() -> None:
        async with transaction():
            await Tally.create(name="a")
            await on_commit(slow)
            await on_commit(partial(ran.append, "last"))

    task = asyncio.create_task(caller())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ran == []
    go_on.set()
    async with asyncio.timeout(10):
        while ran != ["slow", "last"]:
            await asyncio.sleep(0.01)
    assert await names() == ["a"]


async def test_cancelled_at_any_moment_the_effects_agree_with_the_row() -> None:
    """At every await of a transaction in turn: the effect has run if, and only if, the row is there."""
    for moment in range(40):
        ran: list[int] = []

        async def caller(moment: int = moment, ran: list[int] = ran) -> None:
            async with transaction():
                await Tally.create(name=str(moment))
                await on_commit(partial(ran.append, moment))

        task = asyncio.create_task(caller())
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        for _ in range(200):
            if not [one for one in asyncio.all_tasks() if one.get_name() == "effects of a transaction"]:
                break
            await asyncio.sleep(0.01)
        written = await Tally.exists(name=str(moment))
        assert written == (ran == [moment]), (moment, result)


async def test_a_plain_task_that_outlives_the_transaction_raises_an_error_that_names_spawn() -> None:
    go_on = asyncio.Event()
    late: list[asyncio.Task[object]] = []

    async def write(name: str) -> None:
        await go_on.wait()
        await Tally.create(name=name)

    async def effect() -> None:
        await go_on.wait()
        await on_commit(partial(print, "never"))

    async with transaction():
        await Tally.create(name="a")
        late += [asyncio.create_task(write("plain")), asyncio.create_task(effect())]
        spawned = spawn(write("spawned"))
    go_on.set()
    for task in late:
        with pytest.raises(DatabaseError, match=r"spawn\(…\)"):
            await task
    await spawned
    assert await names() == ["a", "spawned"]


async def test_a_spawned_task_does_not_see_the_open_transaction(store: Store) -> None:
    if store.kind == "sqlite":
        pytest.skip("a process has one connection, which the transaction keeps")
    async with transaction():
        await Tally.create(name="a")
        assert await spawn(names()) == []
    assert await spawn(names()) == ["a"]


async def test_nothing_is_left_open(store: Store) -> None:
    for _ in range(30):
        with pytest.raises(Failed):
            async with transaction():
                await Tally.create(name="a")
                raise Failed
    async with transaction():
        await Tally.create(name="a")
    assert not hasattr(get_connection("default"), "unit")
