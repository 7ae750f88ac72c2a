"""Loads from the database: one query at a time for each class; the next query loads all keys requested meanwhile.

Equal reads share a query, and a slow database gets one query at a time. No read joins a query that has already started,
so its value is never older than the read.

An error of one key affects that key only. When a query fails, its keys are loaded one by one, unless the database is
unavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sanicbase.cache.keys import encode_key
from sanicbase.cache.pending_reads import KeyValues, LoadFailure
from sanicbase.db.errors import DatabaseTimeout, DatabaseUnavailable
from sanicbase.errors import ResourceError

__all__ = ["Loader"]

MAX_KEYS = 500  # in one query
UNAVAILABLE = (DatabaseUnavailable, DatabaseTimeout, ResourceError)  # another query would raise it as well

T = TypeVar("T")
Load = Callable[[list[KeyValues]], Awaitable[Mapping[str, Any]]]


@dataclass(slots=True, eq=False)
class _PendingKey(Generic[T]):
    """A requested key."""

    values: KeyValues
    answer: asyncio.Future[T | LoadFailure | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Loader(Generic[T]):
    """Calls `load` with many keys; it returns the existing values by the texts of their keys.

    A LoadFailure in place of a value is raised to the readers of that key only.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._waiting: dict[str, _PendingKey[T]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, keys: list[KeyValues]) -> list[T | LoadFailure | None]:
        """The current values in the order of the keys; None where there is none."""
        pending = [self._pending_key(values).answer for values in keys]
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="loads of a cache model")
        # A cancelled caller does not cancel the load for the others.
        await asyncio.wait(pending)
        return [answer.result() for answer in pending]

    async def close(self) -> None:
        """Cancel the running load and its callers."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _pending_key(self, values: KeyValues) -> _PendingKey[T]:
        text = encode_key(values)
        pending = self._waiting.get(text)
        if pending is None:
            pending = self._waiting[text] = _PendingKey(values)
        return pending

    async def _run(self) -> None:
        batch: dict[str, _PendingKey[T]] = {}
        try:
            while self._waiting:
                texts = list(self._waiting)[:MAX_KEYS]
                batch = {text: self._waiting.pop(text) for text in texts}
                await self._answer(batch)
        finally:
            self._task = None
            for pending in (*batch.values(), *self._waiting.values()):
                pending.answer.cancel()
            self._waiting.clear()

    async def _answer(self, batch: dict[str, _PendingKey[T]]) -> None:
        loaded = await self._try_load([pending.values for pending in batch.values()])
        if isinstance(loaded, LoadFailure) and len(batch) > 1 and not isinstance(loaded.error, UNAVAILABLE):
            await self._answer_one_by_one(batch)
            return
        for text, pending in batch.items():
            pending.answer.set_result(loaded if isinstance(loaded, LoadFailure) else loaded.get(text))

    async def _answer_one_by_one(self, batch: dict[str, _PendingKey[T]]) -> None:
        unavailable: LoadFailure | None = None
        for text, pending in batch.items():
            loaded = unavailable or await self._try_load([pending.values])
            if isinstance(loaded, LoadFailure) and isinstance(loaded.error, UNAVAILABLE):
                unavailable = loaded
            pending.answer.set_result(loaded if isinstance(loaded, LoadFailure) else loaded.get(text))

    async def _try_load(self, keys: list[KeyValues]) -> Mapping[str, Any] | LoadFailure:
        try:
            return await self._load(keys)
        except Exception as exc:  # raised by the callers
            return LoadFailure(exc)
