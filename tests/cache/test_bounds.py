"""No request is about more than a batch, and no value is larger than what Redis hands out at once."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from sanicbase.cache.batches import BATCH, BATCH_BYTES, CLOSING_BATCH, MAX_VALUE_BYTES, in_batches
from sanicbase.testing.private_server import PrivateServer
from tests.cache.models import AuthorRC, BlobRC
from tests.cache.opening import commands, library
from tests.db.library import Author, Tally
from tests.rc import kinds

MANY = 3000
SLOW = 5000  # microseconds, on average: a machine that is busy elsewhere stops Redis in the middle of a script


@given(st.lists(st.integers(0, 2 * BATCH_BYTES), max_size=400))
def test_batches_have_all_items_in_order_and_are_bounded(sizes: list[int]) -> None:
    batches = list(in_batches(sizes, size=int))
    assert [size for batch in batches for size in batch] == sizes
    assert all(0 < len(batch) <= BATCH for batch in batches)
    assert all(len(batch) == 1 or sum(batch) <= BATCH_BYTES for batch in batches)


async def test_thousands_of_keys_are_read_and_stored_in_batches(shelves: None, redis_url: str) -> None:
    keys = list(range(MANY))
    async with commands(redis_url) as sent:
        assert [entry and len(entry.text) for entry in await BlobRC.get_many(keys)] == keys
    assert (await BlobRC.stats()).fills == MANY
    assert sent.count("LEASE") >= MANY / BATCH
    async with commands(redis_url) as sent:
        assert [entry and len(entry.text) for entry in await BlobRC.get_many(keys)] == keys
    assert set(sent) == {"MGET"}
    assert sent.count("MGET") >= MANY / BATCH


async def test_a_write_of_many_rows_closes_and_opens_in_batches(shelves: None, redis_url: str) -> None:
    await Tally.bulk_create([Tally(name=f"t{n}") for n in range(500)])
    async with commands(redis_url) as sent:
        await Tally.filter(n=0).update(n=1)
    assert sent.count("CLOSE") >= 500 / CLOSING_BATCH
    assert sent.count("OPEN") >= 500 / CLOSING_BATCH


async def test_no_request_holds_redis_for_long(db_url: str, own_redis: PrivateServer) -> None:
    url = kinds.url(own_redis)
    async with library(db_url, url), Redis.from_url(url) as redis:
        await redis.config_resetstat()
        large = [MAX_VALUE_BYTES - 100 + number for number in range(50)]
        for keys in (range(MANY), large):
            for _ in range(2):
                await BlobRC.get_many(keys)
        await Tally.bulk_create([Tally(name=f"t{n}") for n in range(900)])
        await Tally.filter(n=0).update(n=1)
        stats = await redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] > MANY / BATCH
    microseconds = {name: figures["usec_per_call"] for name, figures in stats.items()}
    assert microseconds["cmdstat_evalsha"] < SLOW
    assert microseconds["cmdstat_mget"] < SLOW


async def test_a_value_that_is_too_large_is_answered_and_not_stored(
    shelves: None, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await Author.create(id=1, name="ann")
    await AuthorRC.get(1)
    caplog.set_level(logging.INFO, "sanicbase.cache")
    keys = [5_000_000 + number for number in range(10)]
    for _ in range(2):
        assert [entry and len(entry.text) for entry in await BlobRC.get_many(keys)] == keys
    stats = await BlobRC.stats()
    assert (stats.oversized, stats.waits) == (10, 0)
    assert stats.bypasses == 10  # the second time, at once
    (record,) = caplog.records
    assert "has 5000" in record.message
    assert "more than the limit of 262144" in record.message
    async with commands(redis_url) as sent:
        assert await AuthorRC.get(1) == AuthorRC(id=1, name="ann")
    assert sent == ["MGET"]


async def test_large_values_are_stored_a_few_at_a_time(shelves: None, redis_url: str) -> None:
    keys = [200_000 + number for number in range(20)]
    await BlobRC.get_many(keys)
    assert (await BlobRC.stats()).fills == len(keys)
    async with commands(redis_url) as sent:
        await BlobRC.get_many(keys)
    assert sent.count("MGET") == len(keys) / (BATCH_BYTES // 200_100)
    assert "LEASE" not in sent
