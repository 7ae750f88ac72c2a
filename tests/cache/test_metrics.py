"""What cache models and Redis clients count for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sanicbase import get_redis
from sanicbase.metrics import sampling
from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.shared_values import SharedValues
from tests.cache.models import AuthorRC
from tests.cache.opening import library
from tests.db.library import Author


@pytest.fixture
def shared() -> Iterator[SharedValues]:
    shared = SharedValues()
    count_into(shared)
    yield shared
    count_into(None)
    shared.close()


def values(shared: SharedValues, name: str) -> dict[tuple[str, ...], float]:
    """The values of a metric's series, by those of their labels."""
    return {
        tuple(value for _, value in series.labels): first
        for series, (first, *_) in shared.read()
        if series.name == name
    }


async def test_reads_are_counted_once_although_redis_gets_them_as_well(
    shared: SharedValues, db_url: str, redis_url: str
) -> None:
    async with library(db_url, redis_url):
        author = await Author.create(name="ann")
        for _ in range(3):
            await AuthorRC.get(author.id)
        stats = await AuthorRC.stats()  # takes the counters
        await AuthorRC.get(author.id)
        for sampler in sampling._samplers:
            sampler()
    reads = values(shared, "sanicbase_cache_reads_total")
    assert (stats.hits, stats.misses) == (2, 1)
    assert (reads["AuthorRC", "hits"], reads["AuthorRC", "misses"]) == (3, 1)


async def test_requests_to_redis_and_its_pool(shared: SharedValues, db_url: str, redis_url: str) -> None:
    async with library(db_url, redis_url):
        redis = get_redis()
        before = values(shared, "sanicbase_redis_requests_total").get(("default",), 0)
        await redis.set("library:a", 1)
        async with redis.pipeline() as pipeline:
            pipeline.get("library:a")
            pipeline.get("library:a")
            await pipeline.execute()
        after = values(shared, "sanicbase_redis_requests_total")["default",]
        for sampler in sampling._samplers:
            sampler()
        connections = values(shared, "sanicbase_redis_pool_connections")
    assert after - before >= 2
    assert connections["default", "idle"] >= 1
    assert connections["default", "in_use"] == 0
    assert sampling._samplers == []
