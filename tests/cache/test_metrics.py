"""What cache models and Redis clients count for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError

from sanicbase import get_redis
from sanicbase.metrics import sampling
from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.shared_values import SharedValues
from sanicbase.rc.clients import get_blocking_redis
from tests.cache.models import AuthorRC
from tests.cache.opening import library
from tests.db.library import Author

TIMES = "sanicbase_redis_request_seconds"


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


def requests(shared: SharedValues) -> Counter[str]:
    """The requests to the default Redis by their kind."""
    read = {dict(series.labels)["kind"]: sum(values[:-1]) for series, values in shared.read() if series.name == TIMES}
    return Counter({kind: int(count) for kind, count in read.items()})


async def test_requests_to_redis_by_kind_and_its_pool(shared: SharedValues, db_url: str, redis_url: str) -> None:
    async with library(db_url, redis_url):
        author = await Author.create(name="ann")
        redis = get_redis()
        script = redis.register_script("return 1")
        await script()  # which loads it
        before = requests(shared)
        await redis.set("library:a", 1)
        await redis.get("library:a")
        await redis.execute_command("get", "library:a")
        await redis.execute_command(b"PING")
        async with redis.pipeline() as pipeline:
            pipeline.get("library:a")
            pipeline.get("library:a")
            await pipeline.execute()
        await script()
        with pytest.raises(ResponseError):  # one that fails counts as well
            await redis.incr("library:a", "no number")  # type: ignore[arg-type]
        await get_blocking_redis().blpop(["library:none"], timeout=0.01)
        now = requests(shared)
        await AuthorRC.get(author.id)
        cached = requests(shared)
        for sampler in sampling._samplers:
            sampler()
        connections = values(shared, "sanicbase_redis_pool_connections")
    added = {"read": 2, "write": 2, "other": 1, "pipeline": 1, "blocking": 1}
    assert {kind: now[kind] - before[kind] for kind in added} == added
    assert now["script"] > before["script"]
    assert cached["cache"] > now["cache"]
    assert connections["default", "idle"] >= 1
    assert connections["default", "in_use"] == 0
    assert sampling._samplers == []


async def test_requests_of_a_process_that_does_not_count_are_those_of_redis_py(db_url: str, redis_url: str) -> None:
    async with library(db_url, redis_url):
        assert type(get_redis()) is Redis
        assert type(get_redis().pipeline()) is Pipeline
