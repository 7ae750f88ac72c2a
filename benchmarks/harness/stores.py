"""The harness's own database and its keys in Redis, made before a run and gone after it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
from redis import Redis

from benchmarks.harness.data import SCHEMA
from benchmarks.harness.scenarios import Scenario

DEFAULT_DB_URL = "postgres://postgres@127.0.0.1:5432/postgres"
DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/15"
DB_URL = os.environ.get("BENCH_DB_URL", DEFAULT_DB_URL)
REDIS_URL = os.environ.get("BENCH_REDIS_URL", DEFAULT_REDIS_URL)


class Stores:
    """Where the contenders find both."""

    def __init__(self, db_url: str, redis_url: str) -> None:
        self.db_url = db_url
        self.redis_url = redis_url
        self._rows = 0
        self._changed = False

    def prepare(self, scenario: Scenario) -> None:
        """Give the tables the rows that a scenario begins with."""
        if self._changed or self._rows != scenario.rows:
            asyncio.run(_execute(self.db_url, "TRUNCATE item, note RESTART IDENTITY"))
            asyncio.run(_execute(self.db_url, "SELECT fill($1)", scenario.rows))
            asyncio.run(_execute(self.db_url, "VACUUM ANALYZE"))
        self._rows, self._changed = scenario.rows, scenario.writes

    def set_stock(self, key: int, stock: int) -> None:
        """Change a row past everybody."""
        asyncio.run(_execute(self.db_url, "UPDATE item SET stock = $2 WHERE id = $1", key, stock))


@contextmanager
def stores() -> Iterator[Stores]:
    """Make a database of the run's own, and use a Redis database that is empty. Both are left as they were."""
    name = f"sanicbase_bench_{os.getpid()}"
    redis = Redis.from_url(REDIS_URL)
    if redis.dbsize():
        raise SystemExit(f"{REDIS_URL} has keys. Name an empty database of Redis by BENCH_REDIS_URL.")
    asyncio.run(_execute(DB_URL, f'CREATE DATABASE "{name}"'))
    try:
        url = urlsplit(DB_URL)._replace(path=f"/{name}").geturl()
        asyncio.run(_execute(url, SCHEMA))
        yield Stores(url, REDIS_URL)
    finally:
        asyncio.run(_execute(DB_URL, f'DROP DATABASE "{name}" WITH (FORCE)'))
        redis.flushdb()
        redis.close()


async def _execute(url: str, statement: str, *arguments: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()
