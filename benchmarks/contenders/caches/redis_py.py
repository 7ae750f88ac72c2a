"""redis-py and orjson: GET and loads, MGET and loads."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from redis.asyncio import Redis

from reading import Row, main


class RedisCache:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def store(self, rows: Sequence[Row]) -> None:
        for row in rows:
            await self._redis.set(f"item:{row['id']}", orjson.dumps(row), ex=3600)

    async def get(self, key: int) -> Any:
        return orjson.loads(await self._redis.get(f"item:{key}"))

    async def get_many(self, keys: Sequence[int]) -> list[Any]:
        return [orjson.loads(stored) for stored in await self._redis.mget([f"item:{key}" for key in keys])]

    def as_json(self, value: Any) -> Any:
        return value


@asynccontextmanager
async def opening() -> AsyncIterator[RedisCache]:
    async with Redis.from_url(os.environ["REDIS_URL"]) as redis:
        yield RedisCache(redis)


if __name__ == "__main__":
    main(opening)
