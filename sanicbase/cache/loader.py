"""Loading from the database: one query at a time for each class, and all that is asked meanwhile in the next one.

So equal reads share a query, a database that is slow is not asked by everybody at once, and whoever waits gets what
was there when the wait began, or later: nobody joins a query that is under way.

What goes wrong with one key is that key's own failure. When a query fails as a whole, each of its keys is loaded alone,
unless the database is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sanicbase.cache.keys import encoded
from sanicbase.cache.wants import Failed, Values
from sanicbase.db.errors import DatabaseTimeout, DatabaseUnavailable
from sanicbase.errors import ResourceError

__all__ = ["Loader"]

LARGEST = 500  # keys of one query
AWAY = (DatabaseUnavailable, DatabaseTimeout, ResourceError)  # which another query would raise as well

T = TypeVar("T")
Load = Callable[[list[Values]], Awaitable[Mapping[str, Any]]]


@dataclass(slots=True, eq=False)
class _Asked(Generic[T]):
    """A key that is waited for."""

    values: Values
    answer: asyncio.Future[T | Failed | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Loader(Generic[T]):
    """`load` is asked for many keys at once, and answers those that there are, by the texts of their keys.

    In place of a value there may be a Failed, for those alone who ask for that key.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._waiting: dict[str, _Asked[T]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, keys: list[Values]) -> list[T | Failed | None]:
        """What there is now, in the order of the keys; None for what there is not."""
        asked = [self._asked(values).answer for values in keys]
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="loads of a cache model")
        # A caller that is cancelled leaves the others their answer.
        await asyncio.wait(asked)
        return [answer.result() for answer in asked]

    async def close(self) -> None:
        """End what is under way; who waits for it is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _asked(self, values: Values) -> _Asked[T]:
        text = encoded(values)
        asked = self._waiting.get(text)
        if asked is None:
            asked = self._waiting[text] = _Asked(values)
        return asked

    async def _run(self) -> None:
        batch: dict[str, _Asked[T]] = {}
        try:
            while self._waiting:
                texts = list(self._waiting)[:LARGEST]
                batch = {text: self._waiting.pop(text) for text in texts}
                await self._answer(batch)
        finally:
            self._task = None
            for asked in (*batch.values(), *self._waiting.values()):
                asked.answer.cancel()
            self._waiting.clear()

    async def _answer(self, batch: dict[str, _Asked[T]]) -> None:
        found = await self._loaded([asked.values for asked in batch.values()])
        if isinstance(found, Failed) and len(batch) > 1 and not isinstance(found.error, AWAY):
            await self._answer_each(batch)
            return
        for text, asked in batch.items():
            asked.answer.set_result(found if isinstance(found, Failed) else found.get(text))

    async def _answer_each(self, batch: dict[str, _Asked[T]]) -> None:
        away: Failed | None = None
        for text, asked in batch.items():
            found = away or await self._loaded([asked.values])
            if isinstance(found, Failed) and isinstance(found.error, AWAY):
                away = found
            asked.answer.set_result(found if isinstance(found, Failed) else found.get(text))

    async def _loaded(self, keys: list[Values]) -> Mapping[str, Any] | Failed:
        try:
            return await self._load(keys)
        except Exception as exc:  # which whoever waits raises
            return Failed(exc)
