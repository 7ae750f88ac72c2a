"""An entry that is saved writes what was changed, and only onto the row that it was loaded from."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator, Callable

import pytest
from pydantic import ValidationError

from sanicbase import NotFoundError, SanicBaseError, StaleTokenError, StaleVersionError, transaction
from tests.cache.guarded import (
    HiddenReportRC,
    Ledger,
    LedgerRC,
    Page,
    PageRC,
    PlainPageRC,
    Report,
    ReportRC,
    Word,
    WordRC,
)
from tests.cache.opening import library

STORES = {"sqlite": "db_url", "postgres": "postgres_url", "mysql": "mysql_url"}


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in STORES])
async def guarded(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[None]:
    """The models, open on each kind of database."""
    async with library(request.getfixturevalue(STORES[request.param]), redis_url, models="tests.cache.guarded"):
        yield


@pytest.fixture
async def one(db_url: str, redis_url: str) -> AsyncIterator[None]:
    """The models, open on SQLite."""
    async with library(db_url, redis_url, models="tests.cache.guarded"):
        yield


async def page() -> PageRC:
    """A page, as Redis has it."""
    row = await Page.create(slug="one", title="title", body="body", facts={"a": 1, "tags": ["x"]})
    await PageRC.get(row.id)
    return await PageRC.get_or_fail(row.id)


async def test_a_save_increments_the_version_and_an_older_entry_is_refused(guarded: None) -> None:
    first = await page()
    for number in range(3):
        entry = await PageRC.get_or_fail(first.id)
        assert entry.version == number + 1
        saved = await entry.model_copy(update={"title": f"t{number}"}).save()
        assert (saved.title, saved.version) == (f"t{number}", number + 2)
        assert saved.updated_at > entry.updated_at
    with pytest.raises(StaleVersionError):
        await first.model_copy(update={"title": "old"}).save()
    row = await Page.get(id=first.id)
    assert (row.title, row.version) == ("t2", 4)
    with pytest.raises(StaleVersionError):  # as a form would send it back
        await saved.model_copy(update={"version": 3, "title": "x"}).save()


async def test_of_concurrent_saves_of_one_version_one_succeeds(guarded: None) -> None:
    entry = await page()
    savers = [entry.model_copy(update={"title": f"t{number}"}).save() for number in range(5)]
    ended = await asyncio.gather(*savers, return_exceptions=True)
    (saved,) = [result for result in ended if isinstance(result, PageRC)]
    assert [type(result) for result in ended if result is not saved] == [StaleVersionError] * 4
    assert await PageRC.get(entry.id) == saved


async def test_an_entry_without_changes_writes_nothing_and_is_checked(guarded: None) -> None:
    entry = await page()
    assert await entry.save() == entry
    await Page.filter(id=entry.id).update(body="other")
    with pytest.raises(StaleVersionError):
        await entry.save()
    await Page.filter(id=entry.id).delete()
    with pytest.raises(NotFoundError):
        await entry.save()


async def test_fields_changed_by_others_stay(guarded: None) -> None:
    await page()
    mine = await PlainPageRC.get_or_fail("one")
    await Page.filter(slug="one").update(body="theirs", facts={"b": 2})
    saved = await mine.model_copy(update={"title": "mine"}).save()
    assert (saved.title, saved.body, saved.facts) == ("mine", "theirs", {"b": 2})
    later = await mine.model_copy(update={"title": "later"}).save()
    assert (later.title, later.body) == ("later", "theirs")
    assert (await Page.get(slug="one")).version == 4


async def test_an_entry_of_one_s_own_writes_all_its_fields(guarded: None) -> None:
    await page()
    saved = await PlainPageRC(slug="one", title="title", body="new", facts={}).save()
    assert (saved.title, saved.body, saved.facts) == ("title", "new", {})
    await Page.create(slug="two", title="two", body="two")
    moved = await saved.model_copy(update={"slug": "two"}).save()
    assert (moved.title, moved.body) == ("title", "new")
    assert (await Page.get(slug="two")).body == "new"


async def test_changes_in_place_are_written(one: None) -> None:
    entry = await page()
    entry.facts["tags"].append("y")
    assert (await entry.save()).facts == {"a": 1, "tags": ["x", "y"]}
    fresh = await PageRC.refresh(entry.id)
    assert fresh is not None
    fresh.facts["a"] = True
    assert (await fresh.save()).facts["a"] is True


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda entry: pickle.loads(pickle.dumps(entry)),
        lambda entry: entry.model_copy(),
        lambda entry: entry.model_copy(deep=True),
    ],
)
async def test_a_copy_knows_what_was_loaded(one: None, copied: Callable[[PageRC], PageRC]) -> None:
    entry = copied(await page())
    await Page.filter(id=entry.id).update(body="theirs", version=1)
    assert (await entry.model_copy(update={"title": "mine"}).save()).body == "theirs"


async def test_loaded_relations_are_no_part_of_an_entry(one: None) -> None:
    entry = await page()
    constructed = PageRC(**dict(entry))
    assert entry == constructed
    assert hash(ReportRC(id=1, body="", fence=0)) == hash(ReportRC(id=1, body="", fence=0))
    assert entry.model_dump() == constructed.model_dump()
    assert entry.model_dump_json() == constructed.model_dump_json()
    assert repr(entry) == repr(constructed)
    assert "_loaded" not in PageRC.model_json_schema()["properties"]
    with pytest.raises(ValidationError, match="frozen"):
        entry.title = "x"


async def test_an_old_holder_s_write_is_refused(guarded: None) -> None:
    await Report.create(id=7, body="first", fence=0)
    old = (await ReportRC.get_or_fail(7)).model_copy(update={"fence": 5})
    assert (await old.model_copy(update={"body": "five"}).save()).fence == 5
    new = (await ReportRC.get_or_fail(7)).model_copy(update={"fence": 9, "body": "nine"})
    assert await new.save() == ReportRC(id=7, body="nine", fence=9)
    for late in (old, old.model_copy(update={"body": "late"}), ReportRC(id=7, body="late", fence=8)):
        with pytest.raises(StaleTokenError):
            await late.save()
    assert await ReportRC.get(7) == ReportRC(id=7, body="nine", fence=9)
    assert (await ReportRC(id=7, body="ten", fence=10).save()).fence == 10
    claimed = (await ReportRC.get_or_fail(7)).model_copy(update={"fence": 12})
    assert await claimed.save() == ReportRC(id=7, body="ten", fence=12)


async def test_a_class_that_shows_no_token_does_not_write_what_a_fence_protects(one: None) -> None:
    await Report.create(id=7, body="first", fence=3)
    entry = await HiddenReportRC.get_or_fail(7)
    with pytest.raises(SanicBaseError, match="Declare `fence: int`"):
        await entry.model_copy(update={"body": "x"}).save()
    assert (await Report.get(id=7)).body == "first"


async def test_a_row_with_both_is_guarded_by_both(guarded: None) -> None:
    await Ledger.create(id=1, body="first")
    entry = await LedgerRC.get_or_fail(1)
    saved = await entry.model_copy(update={"body": "x", "fence": 4}).save()
    assert (saved.version, saved.fence) == (2, 4)
    for wrong in ({"version": 1}, {"fence": 3}):
        with pytest.raises(StaleVersionError):
            await saved.model_copy(update={**wrong, "body": "y"}).save()
    assert await LedgerRC.get(1) == saved


async def test_a_rollback_takes_back_what_was_saved_in_it(guarded: None) -> None:
    entry = await page()
    with pytest.raises(RuntimeError):
        async with transaction():
            inside = await PageRC.get_or_fail(entry.id)
            saved = await inside.model_copy(update={"title": "x"}).save()
            assert (await saved.model_copy(update={"body": "y"}).save()).version == 3
            raise RuntimeError
    assert await PageRC.get(entry.id) == entry


async def test_a_created_entry_knows_what_it_was_created_with(guarded: None) -> None:
    created = await PageRC.create(slug="two", title="t", body="b")
    await Page.filter(slug="two").update(body="theirs", version=created.version)
    saved = await created.model_copy(update={"title": "mine"}).save()
    assert (saved.title, saved.body) == ("mine", "theirs")


async def test_a_key_means_one_text_letter_by_letter_in_every_verb(guarded: None) -> None:
    await Word.create(name="hello", n=1)
    for name in ("HELLO", "hello ", "hèllo"):
        assert await WordRC.get(name) is None
        assert await WordRC.update(name, n=2) is None
        assert await WordRC.delete(name) is False
        with pytest.raises(NotFoundError):
            await WordRC(name=name, n=3).save()
    assert await WordRC.get("hello") == WordRC(name="hello", n=1)
    assert await WordRC.update("hello", n=2) == await WordRC.get("hello") == WordRC(name="hello", n=2)
    assert await WordRC(name="hello", n=4).save() == WordRC(name="hello", n=4)
    assert await WordRC.delete("hello") is True
    assert await WordRC.get("hello") is None
