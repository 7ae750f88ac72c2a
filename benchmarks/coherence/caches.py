"""The caches that can be checked: RCModel, and what one would write first, which must be caught."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

from benchmarks.coherence.delays import LONGEST
from benchmarks.coherence.shelf import CODES, CachedItem, Item
from sanicbase import get_redis

__all__ = ["Cache", "Naive", "Ours"]


class Cache(Protocol):
    """What readers and writers need of a cache."""

    async def get(self, key: int) -> CachedItem | None: ...

    async def get_many(self, keys: Sequence[int]) -> list[CachedItem | None]: ...

    async def get_by(self, slug: str) -> CachedItem | None: ...

    async def refresh(self, key: int) -> CachedItem | None: ...

    async def written(self, key: int, slugs: Sequence[str]) -> None:
        """After the commit of a write that the cache was not told of by itself."""

    async def invalidate(self, key: int, *, everything: bool) -> None: ...


class Ours:
    """RCModel, which hears of writes by itself."""

    async def get(self, key: int) -> CachedItem | None:
        if random.random() < 0.1:
            return await CachedItem.get_by(owner=key)
        return await CachedItem.get(key)

    async def get_many(self, keys: Sequence[int]) -> list[CachedItem | None]:
        return await CachedItem.get_many(keys)

    async def get_by(self, slug: str) -> CachedItem | None:
        if random.random() < 0.5:
            return await CachedItem.get_by(code=CODES[slug])
        return await CachedItem.get_by(slug=slug)

    async def refresh(self, key: int) -> CachedItem | None:
        return await CachedItem.refresh(key)

    async def written(self, key: int, slugs: Sequence[str]) -> None:
        """It has heard of it."""

    async def invalidate(self, key: int, *, everything: bool) -> None:
        if everything:
            await CachedItem.invalidate_all()
        else:
            await CachedItem.invalidate(key)


class Naive:
    """Read through, and deleted after the commit."""

    async def get(self, key: int) -> CachedItem | None:
        return await self._read(f"naive:{key}", id=key)

    async def get_many(self, keys: Sequence[int]) -> list[CachedItem | None]:
        return [await self.get(key) for key in keys]

    async def get_by(self, slug: str) -> CachedItem | None:
        return await self._read(f"naive:{slug}", slug=slug)

    async def refresh(self, key: int) -> CachedItem | None:
        return await self.get(key)

    async def written(self, key: int, slugs: Sequence[str]) -> None:
        await get_redis().delete(f"naive:{key}", *(f"naive:{slug}" for slug in slugs))

    async def invalidate(self, key: int, *, everything: bool) -> None:
        await get_redis().delete(f"naive:{key}")

    async def _read(self, name: str, **where: int | str) -> CachedItem | None:
        if (raw := await get_redis().get(name)) is not None:
            return CachedItem.model_validate_json(raw) if raw else None
        row = await Item.get_or_none(**where)
        item = None if row is None else CachedItem.model_validate(row)
        await asyncio.sleep(random.random() * LONGEST)  # else it takes minutes to lose the race that it cannot win
        await get_redis().set(name, "" if item is None else item.model_dump_json(), ex=600)
        return item
