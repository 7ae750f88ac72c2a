"""Reads by key that wait at the same time are one statement, and each caller notices nothing of the others."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tortoise import fields
from tortoise.connection import get_connection
from tortoise.exceptions import DoesNotExist
from tortoise.expressions import Q
from tortoise.transactions import in_transaction
from tortoise.validators import MinValueValidator

from sanicbase.db import DBModel, key_reads
from sanicbase.db.engine.session import session
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable
from sanicbase.db.instances import InstanceFactory
from sanicbase.db.key_reads import MAX_READS, KeyReads, _Batch, _copied
from sanicbase.db.key_select import _integers
from sanicbase.db.queryset import DBQuerySet
from tests.db.keyed import ByBig, ByChar, ByInt, BySize, OfTenant, tenant
from tests.db.library import Author, Book
from tests.db.opening import Store, opened
from tests.db.test_reads import CANDIDATES, KEYS, fill, outcome

MODULES = ("tests.db.every", "tests.db.keyed", "tests.db.library")
POISON = 13
ROLLED_BACK = -1
KEYS_OF_STORM = (1, 2, 3)


class Statement(NamedTuple):
    """A statement of a read by key, and the keys in it."""

    sql: str
    values: list[Any]

    def asks_for(self, key: Any) -> bool:
        return any(value == key or (isinstance(value, list) and key in value) for value in self.values)


class Wire:
    """What goes to the database, held up and refused as a test asks."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.turns: Callable[[], int] = lambda: 0  # that an answer takes longer, in turns of the event loop
        self.refusal: Callable[[Statement], Exception | None] = lambda statement: None
        self.hold: asyncio.Event | None = None  # which answers wait for
        self.held = 0
        self.cancelled = 0

    async def send(self, query: Callable[..., Any], sql: str, values: list[Any] | None) -> Any:
        if not sql.startswith("SELECT") or "WHERE" not in sql:
            return await query(sql, values)
        statement = Statement(sql, list(values or ()))
        self.statements.append(statement)
        if (error := self.refusal(statement)) is not None:
            await asyncio.sleep(0)
            raise error
        try:
            response = await query(sql, values)
            if self.hold is not None:
                self.held += 1
                await self.hold.wait()
            for _ in range(self.turns()):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return response


@pytest.fixture
async def database(store: Store) -> AsyncIterator[Store]:
    async with opened(store, *MODULES):
        yield store


@pytest.fixture
def wire(database: Store) -> Iterator[Wire]:
    with watched() as wire:
        yield wire


@contextmanager
def watched() -> Iterator[Wire]:
    wire = Wire()
    client: Any = get_connection("default")
    query = client.execute_query
    client.execute_query = lambda sql, values=None: wire.send(query, sql, values)
    try:
        yield wire
    finally:
        del client.execute_query


async def authors(*keys: int) -> None:
    await Author.bulk_create([Author(id=key, name=str(key)) for key in keys])


def names(rows: list[Author | None]) -> list[str | None]:
    return [None if row is None else row.name for row in rows]


async def read(*keys: int) -> list[Author | None]:
    return list(await asyncio.gather(*map(Author.get_by_pk, keys)))


async def turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


# What is one statement


async def test_reads_of_one_turn_are_one_statement(wire: Wire) -> None:
    await authors(*range(1, 21))
    await read(1, 2)  # several at a time are expected from now on
    wire.statements.clear()
    assert names(await read(*range(1, 21))) == [str(key) for key in range(1, 21)]
    assert len(wire.statements) == 1
    assert all(wire.statements[0].asks_for(key) for key in range(1, 21))


async def test_first_read_of_several_does_not_wait_for_the_others(wire: Wire) -> None:
    await authors(1, 2, 3)
    assert names(await read(1, 2, 3)) == ["1", "2", "3"]
    assert len(wire.statements) == 2


async def test_reads_one_after_another_wait_for_nothing(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    await authors(1, 2)

    def refuse(self: object, value: object) -> None:
        raise AssertionError("It has waited for others.")

    monkeypatch.setattr(KeyReads, "_together", refuse)
    for key in (1, 2, 3, 1):
        await Author.get_by_pk(key)
    assert len(wire.statements) == 4


async def test_single_reads_after_several_wait_for_nothing_again(wire: Wire) -> None:
    await authors(1, 2)
    await read(1, 2, 1)
    await Author.get_by_pk(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KeyReads, "_together", None)
        row = await Author.get_by_pk(2)
    assert row is not None


async def test_get_and_get_or_none_by_key_take_part(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    await authors(1, 2, 3, 4)
    await read(1, 2)
    wire.statements.clear()
    monkeypatch.setattr(DBQuerySet, "_make_query", lambda self: pytest.fail("The query is built."))
    rows = await asyncio.gather(
        Author.get(pk=1), Author.get(id=2), Author.get_or_none(pk=3), Author.get_or_none(id=4), Author.get_by_pk(1)
    )
    assert [row and row.name for row in rows] == ["1", "2", "3", "4", "1"]
    assert len(wire.statements) == 1


async def test_batch_is_bounded(wire: Wire) -> None:
    keys = range(1, 2 * MAX_READS + 51)
    await authors(*keys)
    await read(1, 2)
    wire.statements.clear()
    assert names(await read(*keys)) == [str(key) for key in keys]
    assert len(wire.statements) == 3
    sizes = [sum(statement.asks_for(key) for key in keys) for statement in wire.statements]
    assert sizes == [MAX_READS, MAX_READS, 50]


async def test_batch_waits_for_one_of_two_statements(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    await authors(*range(1, 8))
    monkeypatch.setattr(key_reads, "MAX_WAIT", 1000.0)
    wire.hold = asyncio.Event()
    tasks = [asyncio.create_task(Author.get_by_pk(key)) for key in (1, 2, 3)]
    await eventually(lambda: wire.held == 2)
    for key in (4, 5, 6, 7):
        tasks.append(asyncio.create_task(Author.get_by_pk(key)))
        await turns()
    assert len(wire.statements) == 2
    wire.hold.set()
    assert names(await asyncio.gather(*tasks)) == ["1", "2", "3", "4", "5", "6", "7"]
    assert len(wire.statements) == 3


async def test_batch_does_not_wait_for_slow_statements(wire: Wire) -> None:
    await authors(1, 2, 3, 4, 5)
    wire.hold = asyncio.Event()
    slow = [asyncio.create_task(Author.get_by_pk(key)) for key in (1, 2, 3)]
    await eventually(lambda: wire.held == 2)
    hold, wire.hold = wire.hold, None
    assert names(await read(4, 5)) == ["4", "5"]
    assert not any(task.done() for task in slow)
    hold.set()
    assert names(await asyncio.gather(*slow)) == ["1", "2", "3"]


async def test_reads_of_different_models_do_not_meet(wire: Wire) -> None:
    await authors(1, 2)
    await fill()
    await asyncio.gather(*(read for key in (1, 2) for read in (Author.get_by_pk(key), ByInt.get_by_pk(key))))
    wire.statements.clear()
    rows = await asyncio.gather(
        *(read for key in (1, 2) for read in (Author.get_by_pk(key), ByInt.get_by_pk(key)))  # ByInt 2 is deleted
    )
    assert [type(row) for row in rows] == [Author, ByInt, Author, type(None)]
    assert len(wire.statements) == 2


async def test_reads_of_different_tenants_do_not_meet(database: Store) -> None:
    await fill()  # 1 is of "a", 2 of "b"

    async def of(name: str, key: int) -> Any:
        tenant.set(name)
        return await OfTenant.get_by_pk(key)

    wanted = [(name, key) for name in "ab" for key in (1, 2)] * 3
    rows = await asyncio.gather(*(of(*one) for one in wanted))
    assert [row is not None for row in rows] == [one in (("a", 1), ("b", 2)) for one in wanted]


# What a caller reads is what it would have read alone


async def test_reads_together_are_reads_alone(database: Store) -> None:
    await fill()
    for model in KEYS:
        keys = [key for key in CANDIDATES if type(key).__name__ not in ("F", "RawSQL")] * 2
        alone = [await outcome(model.get_by_pk(key)) for key in keys]
        for _ in range(2):
            together = await asyncio.gather(*(outcome(model.get_by_pk(key)) for key in keys))
            assert together == alone, model


async def test_keys_that_the_database_takes_for_equal_find_their_row(database: Store) -> None:
    await ByChar.create(id="Ab")
    keys = ["Ab", "ab", "AB", "Ab ", "ac"] * 2
    alone = [await outcome(ByChar.get_by_pk(key)) for key in keys]
    await asyncio.gather(*map(ByChar.get_by_pk, keys))
    assert await asyncio.gather(*(outcome(ByChar.get_by_pk(key)) for key in keys)) == alone


async def test_each_caller_of_one_key_has_its_own_instance(wire: Wire) -> None:
    await authors(1)
    rows = [*await read(*[1] * 5), *await read(*[1] * 5)]
    assert len({id(row) for row in rows}) == 10
    rows[0].name = "changed"  # type: ignore[union-attr]
    assert names(rows[1:]) == ["1"] * 9


async def test_arrays_of_a_row_belong_to_one_caller() -> None:
    row: dict[str, Any] = {"id": 1, "tags": ["a"], "data": {"b": [1]}, "at": None}
    copied = _copied(row)
    assert copied == row
    assert copied["tags"] is not row["tags"]
    assert copied["data"]["b"] is not row["data"]["b"]


async def test_read_sees_what_was_committed_before_it(wire: Wire) -> None:
    assert await late_reads(wire) == ["new", "2"]


async def test_read_that_joined_a_sent_statement_would_be_stale(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[Any, asyncio.Future[Any]] = {}

    async def join(self: Any, value: Any) -> Any:
        if value not in sent or sent[value].done():
            sent[value] = asyncio.ensure_future(self._alone(value))
        return await asyncio.shield(sent[value])

    monkeypatch.setattr(KeyReads, "_together", join)
    assert await late_reads(wire) != ["new", "2"]


async def late_reads(wire: Wire) -> list[str | None]:
    """What is read after a commit, while the answers to earlier reads are on their way."""
    await authors(1, 2)
    await read(1, 2)
    wire.hold = asyncio.Event()
    early = [asyncio.create_task(Author.get_by_pk(key)) for key in (1, 2, 1)]
    await eventually(lambda: wire.held > 0)
    await get_connection("default").execute_query("UPDATE author SET name = 'new' WHERE id = 1")
    late = [asyncio.create_task(Author.get_by_pk(key)) for key in (1, 2)]
    await turns()
    wire.hold.set()
    await asyncio.gather(*early)
    return names(await asyncio.gather(*late))


async def test_transaction_reads_alone(wire: Wire) -> None:
    await authors(1, 2)
    await read(1, 2)

    async def inside() -> list[str | None]:
        async with in_transaction():
            await Author.filter(id=1).update(name="open")
            authors_read = names(await read(1, 2))
            raise ZeroDivisionError(authors_read)

    wire.statements.clear()
    with pytest.raises(ZeroDivisionError, match="open"):
        await inside()
    assert wire.statements == []  # the wire is that of the pool
    assert names(await read(1, 2)) == ["1", "2"]


async def test_session_reads_on_its_own_connection(database: Store) -> None:
    await authors(1, 2)
    await read(1, 2)
    async with session("default") as pinned:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(KeyReads, "states", None)
            assert names([await Author.get_by_pk(1), await Author.get(pk=2)]) == ["1", "2"]
            assert (await Author.get(pk=1, using_db=pinned)).name == "1"


# Errors and cancellations


def refusing(key: int) -> Callable[[Statement], Exception | None]:
    return lambda statement: DatabaseError("poison") if statement.asks_for(key) else None


async def test_error_of_one_key_is_that_of_its_caller(wire: Wire) -> None:
    await authors(1, 2, POISON)
    wire.refusal = refusing(POISON)
    for _ in range(2):
        one, poisoned, two, missing = await asyncio.gather(
            *map(Author.get_by_pk, (1, POISON, 2, 99)), return_exceptions=True
        )
        assert names([one, two, missing]) == ["1", "2", None]  # type: ignore[list-item]
        assert isinstance(poisoned, DatabaseError)


async def test_a_lost_connection_of_a_batch_is_not_raised(wire: Wire) -> None:
    await authors(1, 2, 3)
    await read(1, 2)
    failures = iter([DatabaseUnavailable("lost")])
    wire.refusal = lambda statement: next(failures, None)
    assert names(await read(1, 2, 3)) == ["1", "2", "3"]


@pytest.mark.parametrize("error", [DatabaseTimeout("slow"), DatabaseUnavailable("gone", state="refusing")])
async def test_server_that_was_waited_for_is_not_waited_for_again(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    await authors(1, 2, 3)
    await read(1, 2)
    monkeypatch.setattr(key_reads, "GRACE", -1.0)
    wire.statements.clear()
    wire.refusal = lambda statement: error
    errors: list[Any] = list(await asyncio.gather(*map(Author.get_by_pk, (1, 2, 3)), return_exceptions=True))
    assert len(wire.statements) == 1
    assert len({id(one) for one in errors}) == 3
    assert [(type(one), str(one), vars(one)) for one in errors] == [(type(error), str(error), vars(error))] * 3


async def test_cancelled_caller_takes_no_other_along(wire: Wire) -> None:
    await authors(1, 2, 3)
    await read(1, 2)
    wire.hold = asyncio.Event()
    first, cancelled, last = (asyncio.create_task(Author.get_by_pk(key)) for key in (1, 2, 3))
    await eventually(lambda: len(wire.statements) == 3)
    cancelled.cancel()
    await turns()
    wire.hold.set()
    assert names([await first, await last]) == ["1", "3"]
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert wire.cancelled == 0


async def test_statement_without_callers_is_cancelled(wire: Wire) -> None:
    await authors(1, 2, 3)
    await read(1, 2)
    wire.hold = asyncio.Event()
    tasks = [asyncio.create_task(Author.get_by_pk(key)) for key in (1, 2, 3)]
    await eventually(lambda: len(wire.statements) == 3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await eventually(lambda: wire.cancelled == 1)
    wire.hold = None
    assert names(await read(1, 2, 3)) == ["1", "2", "3"]


async def test_callers_that_were_cancelled_before_the_statement_are_not_in_it(wire: Wire) -> None:
    await authors(1, 2, 3)
    await read(1, 2)
    wire.statements.clear()
    tasks = [asyncio.create_task(Author.get_by_pk(key)) for key in (1, 2, 3)]
    asyncio.get_running_loop().call_soon(tasks[1].cancel)  # after they have joined, and before the end of the turn
    one, two, three = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(two, asyncio.CancelledError)
    assert names([one, three]) == ["1", "3"]  # type: ignore[list-item]
    assert not any(statement.asks_for(2) for statement in wire.statements)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


# `get` is a queryset until it is awaited


async def test_get_by_key_is_a_queryset_like_any_other(database: Store) -> None:
    author = await Author.create(id=1, name="Ann")
    await Book.create(id=1, slug="a", author=author)
    assert (await Book.get(pk=1).select_related("author")).author == author
    assert (await Author.get(id=1).prefetch_related("books")).books[0].slug == "a"
    assert await Author.get(pk=1).values("name") == {"name": "Ann"}
    assert await Author.get_or_none(pk=2).values("name") is None
    assert (await Author.get(pk=1).only("name")).name == "Ann"
    query: Any = Author.get(pk=1)
    assert await query.using_db(get_connection("default")) == author
    assert await Author.get_or_none(Q(name="Bob"), pk=1) is None
    assert await Author.get_or_none(pk=1, name="Bob") is None
    assert Author.get(pk=1).sql() == Author.all().get(pk=1).sql()
    for awaited in (Author.get(pk=1), Author.get_or_none(id=1)):
        assert await awaited == await awaited == author
    with pytest.raises(DoesNotExist) as raised:
        await Author.get(pk=2)
    with pytest.raises(DoesNotExist) as expected:
        await Author.all().get(pk=2)
    assert str(raised.value) == str(expected.value)


def test_only_numbers_without_further_rules_skip_their_conversion() -> None:
    assert _integers(Author._meta.pk) == range(-(2**31), 2**31)
    assert _integers(ByBig._meta.pk) == range(-(2**63), 2**63)
    assert not _integers(fields.IntField(primary_key=True, validators=[MinValueValidator(5)]))
    assert not any(_integers(model._meta.pk) for model in (ByChar, BySize))


async def test_get_of_any_key_is_what_the_queryset_returns(database: Store) -> None:
    await fill()
    for model in KEYS:
        for key in CANDIDATES:

            async def read(method: str, source: Any, key: Any = key) -> Any:
                return await getattr(source, method)(pk=key)

            for method in ("get", "get_or_none"):
                expected = await outcome(read(method, model.all()))
                assert await outcome(read(method, model)) == expected, (model, method, key)


# Random interleavings

Kind = Literal["read", "cancel", "write", "roll back", "poison", "missing"]


class Act(NamedTuple):
    """What one task does, after so many turns of the event loop."""

    kind: Kind
    key: int
    start: int
    patience: int


class Storm:
    """Tasks that read and write rows whose name is their version."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.versions = itertools.count(1)
        self.committed = dict.fromkeys(KEYS_OF_STORM, 0)  # known to be visible
        self.begun = dict.fromkeys(KEYS_OF_STORM, 0)  # may be visible
        self.locks = {key: asyncio.Lock() for key in KEYS_OF_STORM}
        self.rows: list[DBModel] = []

    async def run(self, acts: list[Act], answers: list[int]) -> None:
        delays = itertools.cycle(answers)
        self.wire.turns = lambda: next(delays)
        self.wire.refusal = refusing(POISON)
        await ByBig.all().delete()
        await ByBig.bulk_create([ByBig(key=key, text="0") for key in (*KEYS_OF_STORM, POISON)])
        for error in await asyncio.gather(*map(self.act, acts), return_exceptions=True):  # none outlives the storm
            if error is not None:
                raise error
        assert max(Counter(map(id, self.rows)).values(), default=1) == 1, "Callers share an instance."

    async def act(self, act: Act) -> None:
        await turns(act.start)
        match act.kind:
            case "read":
                await self.check(act.key)
            case "cancel":
                task = asyncio.create_task(self.check(act.key))
                await turns(act.patience)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                if not task.cancelled() and (error := task.exception()):
                    raise error
            case "write":
                async with self.locks[act.key]:
                    version = next(self.versions)
                    self.begun[act.key] = version
                    await ByBig.filter(key=act.key).update(text=str(version))
                    self.committed[act.key] = version
                    await self.check(act.key)
            case "roll back":
                async with self.locks[act.key]:
                    with pytest.raises(ZeroDivisionError):
                        await self.roll_back(act.key)
                    await self.check(act.key)
            case "poison":
                with pytest.raises(DatabaseError, match="poison"):
                    await ByBig.get_by_pk(POISON)
            case "missing":
                assert await ByBig.get_by_pk(100 + act.key) is None

    async def check(self, key: int) -> None:
        least = self.committed[key]
        row = await ByBig.get_by_pk(key)
        assert row is not None
        self.rows.append(row)
        assert row.key == key
        assert least <= int(row.text or "") <= self.begun[key], (
            "The row is older than the read, or was never committed."
        )

    async def roll_back(self, key: int) -> None:
        async with in_transaction():
            await ByBig.filter(key=key).update(text=str(ROLLED_BACK))
            row = await ByBig.get_by_pk_or_fail(key)
            assert row.text == str(ROLLED_BACK)
            raise ZeroDivisionError


KINDS: tuple[Kind, ...] = ("read", "read", "read", "cancel", "write", "roll back", "poison", "missing")
ACTS = st.lists(
    st.builds(Act, st.sampled_from(KINDS), st.sampled_from(KEYS_OF_STORM), st.integers(0, 12), st.integers(0, 12)),
    min_size=2,
    max_size=24,
)
SETTINGS = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(ACTS, st.lists(st.integers(0, 200), min_size=1, max_size=8))
async def test_any_interleaving_is_that_of_reads_alone(database: Store, acts: list[Act], answers: list[int]) -> None:
    with watched() as wire:
        await Storm(wire).run(acts, answers)


def sharing_errors(patch: pytest.MonkeyPatch) -> None:
    """An error of a batch is raised in each of its callers."""
    finish = _Batch.finish

    def fail(self: _Batch) -> None:
        if self.task is not None:
            self.fail(DatabaseTimeout("of another one"))
        finish(self)

    patch.setattr(_Batch, "finish", fail)


def sharing_cancellations(patch: pytest.MonkeyPatch) -> None:
    """A caller that is cancelled takes the whole batch along."""

    def leave(self: _Batch) -> None:
        for _, waiter in self.waiters:
            waiter.cancel()

    patch.setattr(_Batch, "leave", leave)


def sharing_instances(patch: pytest.MonkeyPatch) -> None:
    """Callers of one row get one instance."""
    known: dict[str, Any] = {}
    make = InstanceFactory.instance

    def shared(self: InstanceFactory, model: Any, state: Any) -> Any:
        return known.setdefault(f"{model} {state}", make(self, model, state))

    patch.setattr(InstanceFactory, "instance", shared)


def leaving_transactions(patch: pytest.MonkeyPatch) -> None:
    """Reads in a transaction take the connections of the pool."""
    client = get_connection("default")
    choose = DBModel._choose_db.__func__  # type: ignore[attr-defined]
    patch.setattr(
        ByBig,
        "_choose_db",
        classmethod(lambda cls, for_write=False: choose(cls, for_write) if for_write else client),
    )


@pytest.mark.parametrize("fault", [sharing_errors, sharing_cancellations, sharing_instances, leaving_transactions])
async def test_interleavings_find_a_fault(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    async with opened(Store("sqlite", f"sqlite://{tmp_path / 'faulty.sqlite3'}"), *MODULES, DB_ACQUIRE_TIMEOUT=1.0):
        fault(monkeypatch)
        dice = random.Random(7)
        with watched() as wire, pytest.raises((AssertionError, DatabaseError, asyncio.CancelledError)):
            for _ in range(100):
                acts = [
                    Act(dice.choice(KINDS), dice.choice(KEYS_OF_STORM), dice.randrange(13), dice.randrange(13))
                    for _ in range(24)
                ]
                await Storm(wire).run(acts, [dice.randrange(1000) for _ in range(8)])
