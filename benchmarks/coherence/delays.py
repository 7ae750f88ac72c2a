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
from sanicbase.rc.multiplexed import MultiplexedConnection

__all__ = ["LONGEST", "pause", "slow_down"]

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
    if (seconds := _some_seconds()) > 0:
        await asyncio.sleep(seconds)


def _some_seconds() -> float:
    chance = random.random()
    return 0.0 if chance < 0.5 else random.random() * (SHORT if chance < 0.9 else LONG if chance < 0.99 else LONGEST)


def slow_down() -> None:
    """Have every step begin and end late in this process."""
    for owner, name in STEPS:
        setattr(owner, name, _slow(getattr(owner, name)))
    EpochClient.send_on = _slow_request(EpochClient.send_on)  # type: ignore[method-assign]


def _slow(step: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(step)
    async def slower(*args: Any, **kwargs: Any) -> Any:
        await pause()
        answer = await step(*args, **kwargs)
        await pause()
        return answer

    return slower


def _slow_request(send_on: Callable[..., None]) -> Callable[..., None]:
    """Requests for entries are sent late and answered late. The answers that local entries come from keep their order
    among the invalidations, as on a connection."""

    @wraps(send_on)
    def slower(
        client: EpochClient, connection: MultiplexedConnection, command: bytes, answered: Callable[[Any], None]
    ) -> None:
        loop = asyncio.get_running_loop()

        def answered_late(answer: Any) -> None:
            loop.call_later(_some_seconds(), answered, answer)

        late = answered_late if connection is client._connection else answered
        loop.call_later(_some_seconds(), send_on, client, connection, command, late)

    return slower
