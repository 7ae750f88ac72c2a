"""The auditor compares a share of all hits with the primary database while the service runs.

An audit reads the entry from Redis, the row from the primary, and the entry again. It counts only when both entries
have the same bytes and are valid in the current epoch and generation: a writer deletes the entry before its write
becomes visible, and an entry that is stored again has another expiry. A difference between entry and row is therefore a
stale entry. Its cause is a write that was not seen, such as SQL without `invalidate`, or a `load` that does not always
return the same.

For a hit in memory, the entry in Redis must have been the same for as long as memory may lag behind, and the entry in
memory must still be used at the end.

Audits run in separate tasks. Requests do not wait for them. At most MAX_AUDITS run at once, and a hit that is selected
in the meantime is not audited.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from sanicbase.alerts import report_event
from sanicbase.cache.pending_reads import KeyValues, LoadFailure
from sanicbase.cache.stats import Stats

__all__ = ["Audit", "Auditor", "Sampler"]

logger = logging.getLogger("sanicbase.cache")

MAX_AUDITS = 2  # of a process at once


class Sampler:
    """Selects `rate` of all hits (0 to 1), and runs their audits. Belongs to one event loop."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tasks: set[asyncio.Task[None]] = set()
        self._context = contextvars.copy_context()  # without a request, and outside every transaction

    def selects(self) -> bool:
        """Whether this hit is audited."""
        return random.random() < self._rate  # noqa: S311  (no secret)

    def start(self, audit: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Start an audit; False when too many are running."""
        if len(self._tasks) >= MAX_AUDITS:
            return False
        task = asyncio.get_running_loop().create_task(audit(), name="audit of a cache model", context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Cancel the running audits."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Audit:
    """A hit to audit. `raw` is its entry in Redis, or None for a hit in memory.

    The entry in Redis must not change for `delay` seconds, and `is_served` returns whether readers still get `value`.
    """

    key: str
    values: KeyValues
    raw: bytes | None
    value: Any = None
    delay: float = 0.0
    is_served: Callable[[], bool] = lambda: True


class Auditor:
    """Audits the hits of one class.

    `fetch` returns the entry in Redis if it is valid, with its value; `load` returns the value that the primary has.
    """

    def __init__(
        self,
        name: str,
        sampler: Sampler,
        stats: Stats,
        fetch: Callable[[str], Awaitable[tuple[bytes, Any] | None]],
        load: Callable[[KeyValues], Awaitable[Any]],
    ) -> None:
        self._name = name
        self._sampler = sampler
        self._stats = stats
        self._fetch = fetch
        self._load = load
        self._warned = False

    def selects(self) -> bool:
        """Whether this hit is audited."""
        return self._sampler.selects()

    def start(self, audit: Audit) -> None:
        """Audit a hit, unless too many audits are running."""
        if not self._sampler.start(lambda: self._run(audit)):
            self._stats.unaudited += 1

    async def _run(self, audit: Audit) -> None:
        try:
            is_same = await self._is_same(audit)
        except Exception as exc:  # the database, or a load, may raise anything
            logger.debug("An audit of %s was not possible: %s", self._name, exc)
            is_same = None
        if is_same is None:
            self._stats.unaudited += 1
            return
        self._stats.audited += 1
        if not is_same:
            self._stats.mismatched += 1
            self._warn(audit)

    async def _is_same(self, audit: Audit) -> bool | None:
        """Whether the primary has the value of the hit; None when the entry has changed."""
        before = await self._fetch(audit.key)
        if before is None or audit.raw not in (None, before[0]):
            return None
        await asyncio.sleep(audit.delay)
        loaded = await self._load(audit.values)
        after = await self._fetch(audit.key)
        if after is None or after[0] != before[0] or not audit.is_served():
            return None
        value = audit.value if audit.raw is None else before[1]
        return not isinstance(loaded, LoadFailure) and _equal(loaded, value)

    def _warn(self, audit: Audit) -> None:
        if not self._warned:
            self._warned = True
            text = (
                f"The cached entry {audit.key} of {self._name} differs from the database. Call `invalidate` after "
                "writes that the models do not see; further differences are only counted."
            )
            logger.error("%s", text)
            report_event("cache", self._name, text)


def _equal(loaded: Any, value: Any) -> bool:
    """Whether two entries are equal; a class may compare by less than its fields."""
    if isinstance(loaded, BaseModel) and isinstance(value, BaseModel):
        return loaded.__dict__ == value.__dict__
    return loaded is None and value is None
