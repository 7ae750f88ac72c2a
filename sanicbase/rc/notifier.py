"""Notifications about keys in Redis, on one subscription of the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from redis.asyncio import Redis

from sanicbase.errors import ResourceError
from sanicbase.rc.subscriber import Subscriber

__all__ = ["Notifier"]


class Notifier:
    """Sets an event for each message on a channel; each channel has one waiter. It connects with the first channel.

    A notification may be lost, so a waiter must also poll.
    """

    def __init__(self, redis: Redis) -> None:
        self._events: dict[str, asyncio.Event] = {}
        self._subscriber = Subscriber(redis, self._set, self._set_all)

    async def __aenter__(self) -> Self:
        await self._subscriber.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._subscriber.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def listen(self, channel: str, *, confirm_timeout: float) -> AsyncIterator[asyncio.Event]:
        """An event that every message on the channel sets.

        The block starts when the server has confirmed the subscription, or after `confirm_timeout` seconds.
        """
        event = self._events[channel] = asyncio.Event()
        try:
            with suppress(ResourceError, TimeoutError):
                async with asyncio.timeout(confirm_timeout):
                    await self._subscriber.subscribe(channel)
            yield event
        finally:
            del self._events[channel]
            self._subscriber.unsubscribe(channel)

    def _set(self, channel: str, data: bytes) -> None:
        if event := self._events.get(channel):
            event.set()

    def _set_all(self) -> None:
        for event in self._events.values():
            event.set()
