"""Whoever has been overtaken cannot write over what the later one has written, on every database."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from sanicbase.db import spawn, transaction
from sanicbase.db.errors import StaleTokenError, StaleVersionError
from sanicbase.db.observers import Write, unwatch, watch
from sanicbase.errors import InvalidValue, SanicBaseError
from tests.db.opening import Store, opened
from tests.db.reports import Draft, Report

NOW = 1_790_000_000_000_000  # microseconds, as the tokens of locks are


@pytest.fixture(autouse=True)
async def reports(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.reports"):
        yield


async def bodies() -> list[tuple[str, int]]:
    return [(report.body, report.fence) for report in await Report.all().order_by("id")]


async def test_a_lower_token_is_refused_an_equal_or_higher_one_is_not() -> None:
    report = await Report.create()
    for token, body in ((NOW, "first"), (NOW, "again"), (NOW + 1, "later")):
        assert await Report.update_fenced({"id": report.id}, {"body": body}, token=token) == 1
    with pytest.raises(StaleTokenError, match=f"Report {report.id} was written with a higher token"):
        await Report.update_fenced({"id": report.id}, {"body": "late"}, token=NOW)
    assert await bodies() == [("later", NOW + 1)]


async def test_the_same_write_again_counts_its_row() -> None:
    report = await Report.create()
    for _ in range(2):
        assert await Report.update_fenced({"id": report.id}, {"body": "same"}, token=NOW) == 1
    assert await Report.update_fenced({"id": 0}, {"body": "none"}, token=NOW) == 0


async def test_all_rows_are_written_or_none() -> None:
    await Report.bulk_create([Report(body=str(number), fence=number) for number in range(4)])
    with pytest.raises(StaleTokenError):
        await Report.update_fenced({"year": 2026}, {"body": "x"}, token=2)
    assert await bodies() == [("0", 0), ("1", 1), ("2", 2), ("3", 3)]
    # The rows no longer meet the condition when they are written: they are not asked again.
    assert await Report.update_fenced({"year": 2026}, {"body": "x", "year": 2027}, token=3) == 4
    assert await bodies() == [("x", 3)] * 4


async def test_save_asks_with_the_token_that_is_set_or_was_read() -> None:
    report = await Report.create(fence=NOW)
    same, late = await Report.get(id=report.id), await Report.get(id=report.id)
    report.fence, report.body = NOW + 1, "later"
    await report.save()
    same.body = "read before"
    with pytest.raises(StaleTokenError):
        await same.save()
    late.fence, late.body = NOW - 1, "late"
    with pytest.raises(StaleTokenError):
        await late.save(update_fields=["body"])
    report.body = "again"
    await report.save(update_fields=["body"])
    assert await bodies() == [("again", NOW + 1)]


async def test_a_part_of_the_fields_carries_the_token() -> None:
    report = await Report.create()
    report.fence, report.body = NOW, "new"
    await report.save(update_fields=["body"])
    assert await bodies() == [("new", NOW)]


async def test_version_and_fence_are_both_checked() -> None:
    draft = await Draft.create(fence=NOW)
    loaded = await Draft.get(id=draft.id)
    draft.body = "x"
    await draft.save()
    assert (draft.version, await Draft.filter(version=2, fence=NOW).count()) == (2, 1)
    with pytest.raises(StaleVersionError) as excinfo:
        await loaded.save()
    assert not isinstance(excinfo.value, StaleTokenError)
    draft.fence = NOW - 1
    with pytest.raises(StaleVersionError):
        await draft.save()
    with pytest.raises(StaleTokenError):
        await Draft.update_fenced({"id": draft.id}, {"body": "y"}, token=NOW - 1)
    assert await Draft.update_fenced({"id": draft.id}, {"body": "y"}, token=NOW + 1) == 1
    assert await Draft.filter(id=draft.id).values_list("body", "version", "fence") == [("y", 3, NOW + 1)]


async def test_a_refusal_takes_the_transaction_back() -> None:
    report = await Report.create(fence=1)
    with pytest.raises(StaleTokenError):
        async with transaction():
            await Report.update_fenced({"id": report.id}, {"body": "mine"}, token=5)
            await Report.update_fenced({"id": report.id}, {"body": "late"}, token=4)
    assert await bodies() == [("", 1)]


async def test_a_transaction_that_sees_the_past_is_refused_all_the_same(store: Store) -> None:
    """MySQL shows a transaction what was there at its first select, but for reads that lock."""
    if store.kind == "sqlite":
        pytest.skip("SQLite has one writing transaction at a time")
    report = await Report.create(fence=1)
    with pytest.raises(StaleTokenError):
        async with transaction():
            await Report.get(id=report.id)
            await spawn(Report.update_fenced({"id": report.id}, {"body": "later"}, token=9))
            await Report.update_fenced({"id": report.id}, {"body": "late"}, token=5)
    assert await bodies() == [("later", 9)]


async def test_whatever_the_order_the_highest_token_stays() -> None:
    report = await Report.create()
    tokens = list(range(1, 21))
    random.Random(7).shuffle(tokens)

    async def write(token: int) -> bool:
        try:
            return await Report.update_fenced({"id": report.id}, {"body": str(token)}, token=token) == 1
        except StaleTokenError:
            return False

    written = await asyncio.gather(*map(write, tokens))
    assert written[tokens.index(20)]
    assert await bodies() == [("20", 20)]


async def test_errors_name_the_cause() -> None:
    await Report.create()
    with pytest.raises(InvalidValue, match="fence"):
        await Report.update_fenced({"id": 1}, {"body": "x"}, token=2**63)
    with pytest.raises(InvalidValue, match="bodi"):
        await Report.update_fenced({"id": 1}, {"bodi": "x"}, token=1)
    with pytest.raises(SanicBaseError, match="condition is empty"):
        await Report.update_fenced({}, {"body": "x"}, token=1)
    assert await bodies() == [("", 0)]


class Notes:
    """A watcher that writes down how writes ended."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    async def before_write(self, write: Write) -> None: ...

    async def before_commit(self, writes: Sequence[Write]) -> None:
        """Nothing is refused here."""

    async def committed(self, writes: Sequence[Write]) -> None:
        self.ends.append("committed")

    async def rolled_back(self, writes: Sequence[Write]) -> None:
        self.ends.append("rolled back")

    async def unknown(self, writes: Sequence[Write]) -> None: ...


async def test_watchers_get_these_writes_too() -> None:
    await Report.bulk_create([Report(fence=1), Report(fence=3)])
    notes = Notes()
    watch(Report, notes)
    try:
        assert await Report.update_fenced({"year": 2026}, {"body": "x"}, token=3) == 2
        with pytest.raises(StaleTokenError):
            await Report.update_fenced({"year": 2026}, {"body": "y"}, token=2)
    finally:
        unwatch(Report, notes)
    assert notes.ends[:1] == ["committed"]
    assert await bodies() == [("x", 3)] * 2
