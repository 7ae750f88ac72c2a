"""RCModel against a dictionary: whatever is done, and in which order, what is read is what was written."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tortoise import Tortoise
from tortoise.connection import get_connection

from sanicbase import RCModel, get_redis, lifespan
from sanicbase.db import transaction
from sanicbase.db.errors import IntegrityError
from sanicbase.testing.databases import ask_redis
from tests.cache.cards import Card, shaped
from tests.db.opening import LibraryConfig

EXAMPLES = int(os.environ.get("SANICBASE_TEST_CARDS", "15"))
IDS, SLUGS = (1, 2, 3), ("a", "b", "c")
ids, slugs, numbers = st.sampled_from(IDS), st.sampled_from(SLUGS), st.integers(0, 9)
many = st.lists(st.sampled_from((*IDS, 99)), max_size=5)
how = st.sampled_from(("cache", "plain", "row", "bulk"))

T = TypeVar("T")


class Undone(Exception):
    pass


class Row(NamedTuple):
    slug: str
    n: int


Rows = dict[int, Row]


class Step(NamedTuple):
    """A write of a transaction."""

    kind: str
    how: str
    id: int
    slug: str
    n: int


written = st.builds(Step, st.sampled_from(("create", "update", "delete")), how, ids, slugs, numbers)


class Cards(RuleBasedStateMachine):
    """A service with one cache model. `rows` is what was committed."""

    redis_url = ""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        self._stack = AsyncExitStack()
        self.rows: Rows = {}

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self._runner.run(awaited())

    @initialize()
    def begin(self) -> None:
        ask_redis(self.redis_url, "FLUSHDB")
        self.run(self._open(noted=False))
        self.run(Tortoise.generate_schemas())

    def teardown(self) -> None:
        self.run(self._stack.aclose())
        self._runner.close()
        self._folder.cleanup()

    @rule(noted=st.booleans())
    def is_released_anew(self, noted: bool) -> None:
        self.run(self._stack.aclose())
        self.run(self._open(noted=noted))

    @rule(id=ids)
    def get(self, id: int) -> None:  # noqa: A002
        assert as_row(self.run(self.cls.get(id))) == self.rows.get(id)

    @rule(keys=many)
    def get_many(self, keys: list[int]) -> None:
        assert list(map(as_row, self.run(self.cls.get_many(keys)))) == [self.rows.get(key) for key in keys]

    @rule(slug=slugs)
    def get_by(self, slug: str) -> None:
        assert as_row(self.run(self.cls.get_by(slug=slug))) == by_slug(self.rows, slug)

    @rule(id=ids)
    def refresh(self, id: int) -> None:  # noqa: A002
        assert as_row(self.run(self.cls.refresh(id))) == self.rows.get(id)

    @rule(step=written)
    def write(self, step: Step) -> None:
        self.run(self._write(step, self.rows))

    @rule(steps=st.lists(written, min_size=1, max_size=4), undone=st.booleans())
    def write_together(self, steps: list[Step], undone: bool) -> None:
        self.run(self._write_together(steps, undone))

    @rule(id=ids, n=numbers, by=st.sampled_from(("key", "slug", "all")), inside=st.booleans())
    def write_past_the_model(self, id: int, n: int, by: str, inside: bool) -> None:  # noqa: A002
        if id in self.rows:
            self.run(self._write_past_the_model_inside(id, n, by) if inside else self._write_past_the_model(id, n, by))
            self.rows[id] = self.rows[id]._replace(n=n)

    @rule(settled=st.booleans())
    def redis_is_emptied(self, settled: bool) -> None:
        self.run(get_redis().flushdb())
        self.run(self._beat())
        if settled:  # as it is after a while
            self.run(get_redis().delete("library:rc:settling"))
            self.run(self._beat())

    @invariant()
    def all_that_is_read_is_what_was_written(self) -> None:
        if self.redis_url and hasattr(self, "cls"):
            entries = self.run(self.cls.get_many(IDS))
            assert list(map(as_row, entries)) == [self.rows.get(key) for key in IDS]

    async def _open(self, *, noted: bool) -> None:
        self.cls: Any = shaped(noted=noted)
        config = LibraryConfig(
            DB_URL=f"sqlite://{self._folder.name}/cards.sqlite3",
            REDIS_URL=self.redis_url,
            MODULES=["tests.cache.cards"],
        )
        await self._stack.enter_async_context(lifespan(config))

    async def _beat(self) -> None:
        await self.cls._opened._epoch_client._send_heartbeat()

    async def _write(self, step: Step, rows: Rows) -> None:
        """Make a write that is possible, also in the model; one that is not is refused and changes nothing."""
        if step.kind == "create":
            await self._create(step, rows)
        elif step.id not in rows:
            assert not await self._change(step)
        elif step.kind == "delete":
            await self._change(step)
            del rows[step.id]
        elif is_free(rows, step):
            await self._change(step)
            rows[step.id] = Row(step.slug, step.n)

    async def _create(self, step: Step, rows: Rows) -> None:
        if step.id in rows or not is_free(rows, step):
            with pytest.raises(IntegrityError):
                async with transaction():
                    await self._insert(step)
        else:
            await self._insert(step)
            rows[step.id] = Row(step.slug, step.n)

    async def _insert(self, step: Step) -> None:
        values: dict[str, Any] = {"id": step.id, "slug": step.slug, "n": step.n}
        match step.how:
            case "cache":
                await self.cls.create(**values)
            case "bulk":
                await Card.bulk_create([Card(**values)])
            case _:
                await Card.create(**values)

    async def _change(self, step: Step) -> bool:
        """Update or delete; whether there was anything."""
        values = {"slug": step.slug, "n": step.n}
        row = await Card.get_or_none(id=step.id)
        match step.kind, step.how:
            case "delete", "cache":
                return bool(await self.cls.delete(step.id))
            case "delete", "row" if row is not None:
                await row.delete()
            case "delete", _:
                return bool(await Card.filter(id=step.id).delete())
            case _, "cache":
                return await self.cls.update(step.id, **values) is not None
            case _, "row" if row is not None:
                await row.update_from_dict(values).save()
            case _, "bulk" if row is not None:
                await Card.bulk_update([row.update_from_dict(values)], ["slug", "n"])
            case _:
                return bool(await Card.filter(id=step.id).update(**values))
        return True

    async def _write_together(self, steps: list[Step], undone: bool) -> None:
        inside = dict(self.rows)
        try:
            async with transaction():
                for step in steps:
                    await self._write(step, inside)
                    assert as_row(await self.cls.get(step.id)) == inside.get(step.id)
                    assert as_row(await self.cls.get_by(slug=step.slug)) == by_slug(inside, step.slug)
                    assert as_row(await self.cls.refresh(step.id)) == inside.get(step.id)
                if undone:
                    raise Undone  # noqa: TRY301  (which is what rolls back)
        except Undone:
            return
        self.rows = inside

    async def _write_past_the_model_inside(self, key: int, n: int, by: str) -> None:
        async with transaction():
            await self._write_past_the_model(key, n, by)

    async def _write_past_the_model(self, key: int, n: int, by: str) -> None:
        await get_connection("default").execute_query("UPDATE card SET n = ? WHERE id = ?", [n, key])
        if by == "all":
            await self.cls.invalidate_all()
        elif by == "key":
            await self.cls.invalidate(key)
        else:
            await self.cls.invalidate(*IDS, slug=self.rows[key].slug)


def as_row(entry: RCModel | None) -> Row | None:
    """What the model knows of an entry."""
    found: Any = entry
    return None if found is None else Row(found.slug, found.n)


def by_slug(rows: Rows, slug: str) -> Row | None:
    return next((row for row in rows.values() if row.slug == slug), None)


def is_free(rows: Rows, step: Step) -> bool:
    return all(row.slug != step.slug or key == step.id for key, row in rows.items())


@pytest.fixture
def on_redis(redis_url: str) -> type[Cards]:
    return type("CardsOnRedis", (Cards,), {"redis_url": redis_url})


@pytest.mark.timeout(300)
def test_reads_return_the_last_write(on_redis: type[Cards]) -> None:
    checks = settings(
        deadline=None, max_examples=EXAMPLES, stateful_step_count=25, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(on_redis, settings=checks)
