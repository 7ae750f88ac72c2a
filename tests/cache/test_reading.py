"""Reading: what it costs, what it finds, whatever the keys are."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from tortoise.connection import get_connection

from sanicbase import NotFoundError, NotOpenError, SanicBaseError, get_redis, transaction
from sanicbase.cache.model_cache import ModelCache
from sanicbase.db.queryset import DBQuerySet
from tests.cache.models import AuthorRC, BookRC, ShelfRC, TallyRC
from tests.cache.opening import commands, past_the_model
from tests.db.library import Author, Book, Shelf, Tally

ODD_KEYS = [":", "*", "a:b*", "\r\n", " ", "", "%3A", "~", "🐈", "é" * 40, "-1", "k", "None", "x" * 40]
IMPOSSIBLE_KEYS = ["\0", "\ud800", "x" * 100_000, "🐈" * 41]


async def test_a_hit_is_one_request(shelves: None, redis_url: str) -> None:
    author = await Author.create(name="ann")
    await AuthorRC.get(author.id)
    async with commands(redis_url) as sent:
        cached = await AuthorRC.get(author.id)
    assert cached == AuthorRC(id=author.id, name="ann")
    assert sent == ["MGET"]


async def test_fifty_hits_are_one_request(shelves: None, redis_url: str) -> None:
    await Author.bulk_create([Author(name=f"a{n}") for n in range(50)])
    keys = [author.id for author in await Author.all()]
    await AuthorRC.get_many(keys)
    async with commands(redis_url) as sent:
        cached = await AuthorRC.get_many(keys)
    assert [entry and entry.id for entry in cached] == keys
    assert sent == ["MGET"]


async def test_a_hit_by_a_unique_field_is_one_request(shelves: None, redis_url: str) -> None:
    await Author.create(name="ann")
    for _ in range(2):
        await AuthorRC.get_by(name="ann")
    async with commands(redis_url) as sent:
        cached = await AuthorRC.get_by(name="ann")
    assert cached is not None
    assert sent == ["FOLLOW"]


async def test_a_miss_is_a_look_a_lease_and_a_fill(shelves: None, redis_url: str) -> None:
    author = await Author.create(name="ann")
    async with commands(redis_url) as sent:
        await AuthorRC.get(author.id)
    assert sent == ["MGET", "LEASE", "FILL"]


async def test_a_miss_builds_no_query_after_the_first(shelves: None, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["ann", "bob"]
    authors = [await Author.create(name=name) for name in names]
    await AuthorRC.get(authors[0].id)

    def refuse(self: object) -> None:
        raise AssertionError("The query is built again.")

    monkeypatch.setattr(DBQuerySet, "_make_query", refuse)
    assert await AuthorRC.get(authors[1].id) == AuthorRC(id=authors[1].id, name="bob")
    assert await AuthorRC.get(authors[1].id + 1) is None


async def test_a_write_is_a_closing_and_an_opening(shelves: None, redis_url: str) -> None:
    shelf = await Shelf.create(id=uuid.uuid4(), code="c")
    async with commands(redis_url) as sent:
        await Shelf.filter(id=shelf.id).update(room=2)
    assert sent == ["CLOSE", "OPEN"]


async def test_a_write_of_a_unique_value_closes_the_one_before_and_the_one_after(shelves: None, redis_url: str) -> None:
    author = await Author.create(name="ann")
    async with commands(redis_url) as sent:
        await Author.filter(id=author.id).update(name="bea")
    assert sent == ["CLOSE", "CLOSE", "OPEN"]


async def test_an_entry_lives_for_its_ttl_less_a_tenth_at_most(shelves: None) -> None:
    await Author.create(id=1, name="ann")
    await AuthorRC.get_many([1, 2])
    lives = {
        key.rpartition(b":")[2]: await get_redis().pttl(key) / 1000
        async for key in get_redis().scan_iter(match="library:rc:AuthorRC:v:*")
    }
    assert 3200 < lives[b"1"] <= 3600
    assert 50 < lives[b"2"] <= 60  # of which there is none


async def test_simultaneous_reads_are_one_command_and_one_query(
    shelves: None, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Author.bulk_create([Author(name=f"a{n}") for n in range(20)])
    keys = [author.id for author in await Author.all()]
    queries = counted_queries(monkeypatch)
    async with commands(redis_url) as sent:
        cached = await asyncio.gather(*(AuthorRC.get(key) for key in keys for _ in range(3)))
    assert [entry and entry.id for entry in cached] == [key for key in keys for _ in range(3)]
    assert sent == ["MGET", "LEASE", "FILL"]
    assert queries == [20]


async def test_many_keep_their_order_their_doubles_and_their_misses(shelves: None) -> None:
    ann, bea = await Author.create(name="ann"), await Author.create(name="bea")
    for _ in range(2):
        cached = await AuthorRC.get_many([bea.id, 10**30, ann.id, 999, bea.id, "no number"])
        assert [entry and entry.name for entry in cached] == ["bea", None, "ann", None, "bea", None]


async def test_a_missing_row_is_cached_until_it_exists(shelves: None, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = counted_queries(monkeypatch)
    for _ in range(3):
        assert await AuthorRC.get(7) is None
        assert await AuthorRC.get_by(name="ann") is None
    assert len(queries) == 2
    await Author.create(id=7, name="ann")
    for _ in range(2):
        assert await AuthorRC.get(7) == await AuthorRC.get_by(name="ann") == AuthorRC(id=7, name="ann")


async def test_a_missing_row_is_queried_each_time_without_a_negative_ttl(
    shelves: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = counted_queries(monkeypatch)
    for _ in range(3):
        assert await ShelfRC.get_by(code="none") is None
    assert len(queries) == 3


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_any_text_is_a_key(shelves: None, key: str) -> None:
    assert await TallyRC.get(key) is None
    await Tally.create(name=key, n=1)
    for _ in range(2):
        assert await TallyRC.get(key) == TallyRC(name=key, n=1)
    await Tally.filter(name=key).update(n=2)
    assert [entry.n for entry in await TallyRC.get_many(ODD_KEYS) if entry] == [2]
    names = [name async for name in get_redis().scan_iter()]
    assert all(len(name) < 250 and name.decode().isascii() and name.decode().isprintable() for name in names)


@pytest.mark.parametrize("key", IMPOSSIBLE_KEYS)
async def test_a_key_that_no_row_can_have_sends_no_query(shelves: None, redis_url: str, key: str) -> None:
    async with commands(redis_url) as sent:
        assert await TallyRC.get(key) is None
        assert await AuthorRC.get_by(name=key) is None
        assert await TallyRC.delete(key) is False
    assert sent == []


async def test_numbers_and_uuids_are_keys_in_any_form(shelves: None) -> None:
    shelf = await Shelf.create(id=uuid.uuid4(), code="c")
    await Author.create(id=-5, name="minus")
    assert await ShelfRC.get(shelf.id) == await ShelfRC.get(str(shelf.id)) == await ShelfRC.get_by(code="c")
    assert await AuthorRC.get("-5") == await AuthorRC.get(-5) == AuthorRC(id=-5, name="minus")


async def test_a_unique_value_that_is_null_leads_nowhere(shelves: None) -> None:
    shelf = await Shelf.create(id=uuid.uuid4(), code="c")
    await ShelfRC.get(shelf.id)
    assert await ShelfRC.get_by(label="None") is None
    await Shelf.filter(id=shelf.id).update(label="x")
    cached = await ShelfRC.get_by(label="x")
    assert cached is not None
    assert cached.id == shelf.id


async def test_a_soft_deleted_row_is_gone_and_its_unique_value_free(shelves: None) -> None:
    book = await Book.create(slug="old", title="Old")
    assert (await BookRC.get_or_fail(book.id)).slug == "old"
    await book.delete()
    assert await BookRC.get(book.id) is None
    assert await BookRC.get_by(slug="old") is None
    heir = await Book.create(slug="old", title="New")
    cached = await BookRC.get_by(slug="old")
    assert cached is not None
    assert cached.id == heir.id


async def test_an_entry_that_must_be_there_is_an_error_otherwise(shelves: None) -> None:
    with pytest.raises(NotFoundError, match="AuthorRC 7 does not exist"):
        await AuthorRC.get_or_fail(7)


async def test_inside_of_a_transaction_it_is_read_what_the_transaction_sees(shelves: None) -> None:
    author = await Author.create(name="ann")
    await AuthorRC.get(author.id)
    async with transaction():
        await Author.filter(id=author.id).update(name="bea")
        assert (await AuthorRC.get_or_fail(author.id)).name == "bea"
        assert await AuthorRC.get_by(name="ann") is None
        assert await AuthorRC.get_by(name="bea") is not None
    assert (await AuthorRC.get_or_fail(author.id)).name == "bea"


async def test_warm_and_refresh(shelves: None, redis_url: str) -> None:
    await Author.bulk_create([Author(name=f"a{n}") for n in range(5)])
    keys = [author.id for author in await Author.all()]
    assert await AuthorRC.warm([*keys, 999], batch=2) == 5
    await past_the_model("UPDATE author SET name = 'changed' WHERE id = ?", keys[0])
    assert (await AuthorRC.get_or_fail(keys[0])).name == "a0"
    assert await AuthorRC.refresh(keys[0]) == AuthorRC(id=keys[0], name="changed")
    assert (await AuthorRC.get_or_fail(keys[0])).name == "changed"
    async with commands(redis_url) as sent:
        await AuthorRC.get_many(keys)
    assert sent == ["MGET"]


async def test_changes_by_sql_are_seen_after_invalidation(shelves: None) -> None:
    await Author.create(id=1, name="ann")
    await Author.create(id=2, name="bea")
    await AuthorRC.get_many([1, 2])
    await AuthorRC.get_by(name="ann")
    assert await AuthorRC.get_by(name="cleo") is None
    await past_the_model("UPDATE author SET name = 'cleo' WHERE id = 1")
    await AuthorRC.invalidate(1, name="cleo")
    assert await AuthorRC.get_by(name="ann") is None
    assert await AuthorRC.get_by(name="cleo") == await AuthorRC.get(1) == AuthorRC(id=1, name="cleo")
    await past_the_model("UPDATE author SET name = name || '!'")
    await AuthorRC.invalidate_all()
    assert [entry and entry.name for entry in await AuthorRC.get_many([1, 2])] == ["cleo!", "bea!"]


async def test_counts_are_summed_up(shelves: None) -> None:
    await Author.create(id=1, name="ann")
    for _ in range(3):
        await AuthorRC.get_many([1, 2])
    stats = await AuthorRC.stats()
    assert (stats.hits, stats.misses, stats.fills, stats.corrupt) == (4, 2, 2, 0)


async def test_a_set_that_is_not_unique_is_refused(shelves: None) -> None:
    with pytest.raises(SanicBaseError, match="does not have 'room'; it has: code, label"):
        await ShelfRC.get_by(room=1)


async def test_outside_of_a_lifespan_it_says_so() -> None:
    with pytest.raises(NotOpenError, match="AuthorRC is not open"):
        await AuthorRC.get(1)


def counted_queries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many keys each query for rows was about."""
    queries: list[int] = []
    ask = ModelCache._rows_of

    async def counting(self: ModelCache, index: object, keys: list[tuple[object, ...]]) -> object:
        queries.append(len(keys))
        return await ask(self, index, keys)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelCache, "_rows_of", counting)
    return queries


async def test_a_caller_that_is_cancelled_leaves_the_others_their_answer(
    shelves: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Author.create(id=1, name="ann")
    first, second = (asyncio.create_task(AuthorRC.get(1)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == AuthorRC(id=1, name="ann")
    assert first.cancelled()


async def test_a_database_error_is_raised_by_all_waiting_callers_and_not_kept(shelves: None) -> None:
    await get_connection("default").execute_script("ALTER TABLE author RENAME TO away")
    results = await asyncio.gather(*(AuthorRC.get(1) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(result, Exception) for result in results)
    await get_connection("default").execute_script("ALTER TABLE away RENAME TO author")
    assert await AuthorRC.get(1) is None
