"""aiocache, with its JSON serializer."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiocache import Cache
from aiocache.serializers import JsonSerializer

from reading import Row, main


class AiocacheCache:
    def __init__(self, cache: Any) -> None:
        self._cache = cache

    async def store(self, rows: Sequence[Row]) -> None:
        for row in rows:
            await self._cache.set(f"aiocache:item:{row['id']}", row, ttl=3600)

    async def get(self, key: int) -> Any:
        return await self._cache.get(f"aiocache:item:{key}")

    async def get_many(self, keys: Sequence[int]) -> Sequence[Any]:
        values: Sequence[Any] = await self._cache.multi_get([f"aiocache:item:{key}" for key in keys])
        return values

    def as_json(self, value: Any) -> Any:
        return value


@asynccontextmanager
async def opening() -> AsyncIterator[AiocacheCache]:
    cache = Cache.from_url(os.environ["REDIS_URL"])
    cache.serializer = JsonSerializer()
    yield AiocacheCache(cache)
    await cache.close()


if __name__ == "__main__":
    main(opening)
