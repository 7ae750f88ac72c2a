"""cashews, with its own serializer (pickle)."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from cashews import Cache

from reading import Row, main


class CashewsCache:
    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def store(self, rows: Sequence[Row]) -> None:
        for row in rows:
            await self._cache.set(f"cashews:item:{row['id']}", row, expire=3600)

    async def get(self, key: int) -> Any:
        return await self._cache.get(f"cashews:item:{key}")

    async def get_many(self, keys: Sequence[int]) -> Sequence[Any]:
        return await self._cache.get_many(*(f"cashews:item:{key}" for key in keys))

    def as_json(self, value: Any) -> Any:
        return value


@asynccontextmanager
async def opening() -> AsyncIterator[CashewsCache]:
    cache = Cache()
    cache.setup(os.environ["REDIS_URL"])
    yield CashewsCache(cache)
    await cache.close()


if __name__ == "__main__":
    main(opening)
