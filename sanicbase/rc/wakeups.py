"""Waking those that wait for something in Redis, by one subscription of the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from redis.asyncio import Redis

from sanicbase.errors import ResourceError
from sanicbase.rc.subscriber import Subscriber

__all__ = ["Wakeups"]


class Wakeups:
    """The channels on which this process waits, each for one waiter; it connects with the first one.

    A message is a hint that it is worth to look again, no more: it may be lost, so whoever waits looks from time to
    time all the same.
    """

    def __init__(self, redis: Redis) -> None:
        self._events: dict[str, asyncio.Event] = {}
        self._subscriber = Subscriber(redis, self._wake, self._wake_all)

    async def __aenter__(self) -> Self:
        await self._subscriber.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._subscriber.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def on(self, channel: str, patience: float) -> AsyncIterator[asyncio.Event]:
        """An event that is set by every message on the channel.

        It listens when the block begins, except where the server has not confirmed it within `patience` seconds.
        """
        event = self._events[channel] = asyncio.Event()
        try:
            with suppress(ResourceError, TimeoutError):
                async with asyncio.timeout(patience):
                    await self._subscriber.subscribe(channel)
            yield event
        finally:
            del self._events[channel]
            self._subscriber.unsubscribe(channel)

    def _wake(self, channel: str, data: bytes) -> None:
        if event := self._events.get(channel):
            event.set()

    def _wake_all(self) -> None:
        for event in self._events.values():
            event.set()
