"""The cache model of the service, read in a process without a server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from reading import Row, main
from sanicbase import lifespan
from shop.config import config
from shop.model_rc.item import ItemRC


class ItemCache:
    """Entries come from the table, so what is stored is what it has."""

    async def store(self, rows: Sequence[Row]) -> None:
        """Read them until all are answered from Redis, which stores nothing for a while after some starts."""
        keys = [row["id"] for row in rows]
        while True:
            before = await self._hits()
            await ItemRC.get_many(keys)
            await asyncio.sleep(1.5)  # what a process has counted is known to all within a second
            if await self._hits() - before == len(keys):
                return

    async def _hits(self) -> int:
        stats = await ItemRC.stats()
        return stats.hits + stats.local_hits

    async def get(self, key: int) -> ItemRC:
        """A model."""
        return await ItemRC.get_or_fail(key)

    async def get_many(self, keys: Sequence[int]) -> Sequence[ItemRC | None]:
        """Models."""
        return await ItemRC.get_many(keys)

    def as_json(self, value: ItemRC) -> Any:
        """Its fields."""
        return value.model_dump(mode="json")


@asynccontextmanager
async def opening() -> AsyncIterator[ItemCache]:
    """All that the service opens."""
    async with lifespan(config):
        yield ItemCache()


if __name__ == "__main__":
    main(opening)
