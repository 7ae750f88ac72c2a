"""Programs of transactions, run against every store and against a model of what they must come to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tortoise.connection import get_connection

from sanicbase.db import DBModel, on_commit, spawn, transaction
from sanicbase.db.background import wait_for_background_tasks
from sanicbase.db.engine.transactions import EngineTransaction
from sanicbase.db.errors import DatabaseError, IntegrityError
from sanicbase.db.observers import Write, unwatch, watch
from tests.db.library import Tally
from tests.db.opening import Store, opened
from tests.db.programs import Block, Expected, Gather, Program, Step, labelled, programs, value

HERE = ContextVar("HERE", default="")
POOL = 3
EXAMPLES = int(os.environ.get("SANICBASE_TEST_PROGRAMS", "40"))

quick = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


class Failed(Exception):
    pass


class Recorder:
    """Records every write with its transaction, and how it ended."""

    def __init__(self) -> None:
        self.announced: list[tuple[str, Write]] = []
        self.events: list[tuple[str, Write]] = []

    async def before_write(self, write: Write) -> None:
        self.announced.append((HERE.get(), write))

    async def before_commit(self, writes: Sequence[Write]) -> None:
        """Nothing is refused here."""

    async def committed(self, writes: Sequence[Write]) -> None:
        self.events += [("committed", write) for write in writes]

    async def rolled_back(self, writes: Sequence[Write]) -> None:
        self.events += [("rolled back", write) for write in writes]

    async def unknown(self, writes: Sequence[Write]) -> None:
        self.events += [("unknown", write) for write in writes]


class Actual:
    """A program as it really goes."""

    def __init__(self) -> None:
        self._spawned: list[asyncio.Task[Any]] = []
        self._late: dict[str, list[tuple[asyncio.Event, asyncio.Task[Any]]]] = {}
        self.effects: list[str] = []
        self.ended: dict[str, str] = {}

    async def run(self, program: Program) -> None:
        for label, step in labelled("", program):
            HERE.set(label)
            try:
                await self._step(step, label, "")
            except (Failed, DatabaseError):
                pass
            except asyncio.CancelledError:
                uncancel()
        await asyncio.gather(*self._spawned)
        await wait_for_background_tasks(5)

    async def _step(self, step: Any, label: str, scope: str) -> None:
        if isinstance(step, Block):
            await self._block(step, label)
        elif isinstance(step, Gather):
            await self._gather(step, label, scope)
        else:
            await self._single(step, label, scope)

    async def _block(self, block: Block, label: str) -> None:
        try:
            try:
                async with transaction():
                    for name, step in labelled(label, block.body):
                        await self._step(step, name, label)
            finally:
                await self._check_late(label)
        except BaseException as exc:
            self.ended[label] = how(exc)
            if not block.catches:
                raise
            if isinstance(exc, asyncio.CancelledError):
                uncancel()
        else:
            self.ended[label] = "fine"

    async def _gather(self, gather: Gather, label: str, scope: str) -> None:
        async def branch(index: int, steps: tuple[Any, ...]) -> None:
            for name, step in labelled(f"{label}|{index}", steps):
                await self._step(step, name, scope)

        results = await asyncio.gather(
            *(branch(place, steps) for place, steps in enumerate(gather.branches)), return_exceptions=True
        )
        for result in results:
            if result is not None:
                raise result

    async def _single(self, step: Step, label: str, scope: str) -> None:
        connection = get_connection("default")
        match step.kind:
            case "fail":
                raise Failed
            case "cancel":
                cancel_self()
                await asyncio.sleep(0)
            case "spawn":
                self._spawned.append(spawn(spawned_write(label)))
            case "late":
                go_on = asyncio.Event()
                task = asyncio.create_task(late_write(go_on, label))
                self._late.setdefault(scope, []).append((go_on, task))
            case "effect":
                await on_commit(partial(self.effects.append, label))
            case "rollback":
                assert isinstance(connection, EngineTransaction)
                if connection.root.aborted_by is not None:
                    raise DatabaseError
                await connection.rollback()
            case "cancelled_write":
                assert isinstance(connection, EngineTransaction)
                if connection.root.aborted_by is None and not connection.is_closed:
                    cancel_self()
                await Tally.filter(name="a").update(n=0)
            case _:
                await write(step, value(label))

    async def _check_late(self, scope: str) -> None:
        for go_on, task in self._late.pop(scope, []):
            go_on.set()
            await asyncio.wait([task])
            assert isinstance(task.exception(), DatabaseError)


def cancel_self() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def uncancel() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()


async def spawned_write(label: str) -> None:
    HERE.set("spawned")
    await Tally.create(name=f"s{label}")


async def late_write(go_on: asyncio.Event, label: str) -> None:
    await go_on.wait()
    await Tally.create(name=f"l{label}")


async def write(step: Step, n: int) -> None:
    name = step.names[0]
    match step.kind:
        case "create":
            await Tally.create(name=name, n=n)
        case "update":
            await Tally.filter(name=name).update(n=n)
        case "delete":
            await Tally.delete_by_pk(name)
        case "bulk_create":
            await Tally.bulk_create([Tally(name=one, n=n) for one in step.names])
        case "upsert":
            await Tally.upsert({"name": name, "n": n}, on=["name"])


def how(error: BaseException) -> str:
    """In the words of the model."""
    match error:
        case Failed():
            return "failed"
        case IntegrityError():
            return "integrity"
        case DatabaseError():
            return "refused"
        case asyncio.CancelledError():
            return "cancelled"
    raise error


@contextmanager
def listening(*models: type[DBModel]) -> Iterator[Recorder]:
    recorder = Recorder()
    for model in models:
        watch(model, recorder)
    try:
        yield recorder
    finally:
        for model in models:
            unwatch(model, recorder)


def in_branch(label: str) -> str:
    """The branches in which a step is: steps of different ones have no order among them."""
    return label.rpartition("|")[0] + label.rpartition("|")[2].split(".")[0] if "|" in label else ""


async def check_pool(store: Store, size: int = POOL) -> None:
    """As many transactions as there are connections are open at the same time, with nothing left over in any."""
    count = 1 if store.kind == "sqlite" else size
    together = asyncio.Barrier(count)

    async def one() -> None:
        async with transaction() as connection:
            await connection.execute_query("SELECT 1")
            await together.wait()

    async with asyncio.timeout(20):
        await asyncio.gather(*(one() for _ in range(count)))


@pytest.fixture
async def library(store: Store) -> AsyncIterator[Store]:
    async with opened(store, "tests.db.library", DB_POOL_SIZE=POOL):
        yield store


@quick
@given(programs())
async def test_a_program_comes_to_what_the_model_says(library: Store, program: Program) -> None:
    await Tally.all().delete()
    expected = Expected(library.kind)
    expected.run(program)
    with listening(Tally) as recorder:
        actual = Actual()
        await actual.run(program)

    assert actual.ended == expected.ended
    rows = {row.name: row.n for row in await Tally.all()}
    assert rows == expected.rows | {f"s{label}": 0 for label in expected.spawned}
    for branch in {in_branch(label) for label in expected.effects + actual.effects}:
        same = [[label for label in some if in_branch(label) == branch] for some in (expected.effects, actual.effects)]
        assert same[0] == same[1]

    assert sorted(id(write) for _, write in recorder.events) == sorted(id(write) for _, write in recorder.announced)
    endings = {id(write): ending for ending, write in recorder.events}
    for position, announced in recorder.announced:
        if position in expected.committed:
            assert endings[id(announced)] == ("committed" if expected.committed[position] else "rolled back")
    await check_pool(library)
