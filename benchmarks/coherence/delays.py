"""Random pauses between all steps of the library, put there from outside."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import wraps
from typing import Any

from sanicbase.cache.epoch import EpochClient
from sanicbase.cache.invalidation import Invalidation
from sanicbase.cache.loader import Loader
from sanicbase.cache.reader import Reader
from sanicbase.db.engine.transactions import EngineTransaction
from sanicbase.db.writes import WatchedWrite

__all__ = ["pause", "slow_down"]

SHORT, LONG, LONGEST = 0.002, 0.02, 0.15  # seconds

STEPS: list[tuple[type[Any], str]] = [
    (EpochClient, "request"),
    (EpochClient, "request_until_answered"),
    (Loader, "_answer"),
    (Reader, "_load_values"),
    (Invalidation, "before_write"),
    (Invalidation, "before_commit"),
    (Invalidation, "committed"),
    (Invalidation, "rolled_back"),
    (Invalidation, "unknown"),
    (Invalidation, "invalidate"),
    (WatchedWrite, "lock_rows"),
    (EngineTransaction, "_commit"),
]


async def pause() -> None:
    """None at all, most often; now and then a long one."""
    chance = random.random()
    if chance < 0.5:
        return
    await asyncio.sleep(random.random() * (SHORT if chance < 0.9 else LONG if chance < 0.99 else LONGEST))


def slow_down() -> None:
    """Have every step begin and end late in this process."""
    for owner, name in STEPS:
        setattr(owner, name, _slow(getattr(owner, name)))


def _slow(step: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(step)
    async def slower(*args: Any, **kwargs: Any) -> Any:
        await pause()
        answer = await step(*args, **kwargs)
        await pause()
        return answer

    return slower
