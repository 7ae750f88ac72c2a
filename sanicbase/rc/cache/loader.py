"""Loading from the database: one query at a time for each class, and all that is asked meanwhile in the next one.

So equal reads share a query, a database that is slow is not asked by everybody at once, and whoever waits gets what
was there when the wait began, or later: nobody joins a query that is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

__all__ = ["Loader"]

LARGEST = 500  # keys of one query

T = TypeVar("T")
Values = tuple[Any, ...]


class Loader(Generic[T]):
    """`load` is asked for many keys at once, and answers those that there are, by their keys."""

    def __init__(self, load: Callable[[list[Values]], Awaitable[Mapping[Values, T]]]) -> None:
        self._load = load
        self._waiting: dict[Values, asyncio.Future[T | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, keys: list[Values]) -> list[T | None]:
        """What there is now, in the order of the keys; None for what there is not. Raises what `load` raises."""
        futures = [self._asked(key) for key in keys]
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="loads of a cache model")
        # A caller that is cancelled leaves the others their answer.
        await asyncio.wait(futures)
        return [future.result() for future in futures]

    async def close(self) -> None:
        """End what is under way; who waits for it is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _asked(self, key: Values) -> asyncio.Future[T | None]:
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        return future

    async def _run(self) -> None:
        batch: dict[Values, asyncio.Future[T | None]] = {}
        try:
            while self._waiting:
                keys = list(self._waiting)[:LARGEST]
                batch = {key: self._waiting.pop(key) for key in keys}
                await self._answer(batch)
        finally:
            self._task = None
            for future in (*batch.values(), *self._waiting.values()):
                future.cancel()
            self._waiting.clear()

    async def _answer(self, batch: dict[Values, asyncio.Future[T | None]]) -> None:
        try:
            found = await self._load(list(batch))
        except Exception as exc:  # which whoever waits raises
            for future in batch.values():
                future.set_exception(exc)
                future.exception()  # who was cancelled meanwhile does not fetch it
        else:
            for key, future in batch.items():
                future.set_result(found.get(key))
