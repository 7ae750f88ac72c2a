"""What is published on a few channels, to be read in a loop."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from redis.asyncio import Redis, RedisCluster

from sanicbase.rc.clients import any_client
from sanicbase.rc.subscriber import Subscriber

__all__ = ["Feed", "Gap", "Message", "pubsub"]

WAITING = 10_000


@dataclass(frozen=True)
class Message:
    """What somebody has published."""

    channel: str
    data: bytes


@dataclass(frozen=True)
class Gap:
    """Messages may have been lost before this point: whoever builds on all of them begins anew from their source."""


def pubsub(*channels: str, redis: str = "default", waiting: int = WAITING) -> Feed:
    """The messages of some channels of a server, of Sentinels' master or of a Cluster, whatever its name is:

        async with pubsub("prices", "news") as feed:
            async for message in feed:
                if isinstance(message, Gap): ...

    They come in the order of the server; a Cluster keeps an order only of what is published through one node. It has
    a connection of its own, which comes back by itself, also to another master; a Gap says that it was away. So
    does one where more than `waiting` messages had not been read: they are dropped. Raises NotOpenError outside a
    lifespan.
    """
    return Feed(any_client(redis), channels, waiting)


class Feed:
    """An async context manager to iterate over; `pubsub` makes it. One task reads it."""

    def __init__(self, redis: Redis | RedisCluster, channels: tuple[str, ...], waiting: int) -> None:
        self._channels = channels
        self._unread: deque[Message | Gap] = deque()
        self._most = waiting
        self._more = asyncio.Event()
        self._closed = False
        self._subscriber = Subscriber(redis, self._take, self._gap)

    async def __aenter__(self) -> Self:
        """Return when every message that is published from now on will be read. Raises ResourceError when the server
        has not confirmed it within 5 seconds."""
        await self._subscriber.__aenter__()
        try:
            await asyncio.gather(*(self._subscriber.subscribe(channel) for channel in self._channels))
        except BaseException:
            await self._subscriber.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._subscriber.__aexit__(kind, error, trace)
        self._closed = True
        self._more.set()

    async def subscribe(self, channel: str) -> None:
        """Read another channel, too; otherwise as when the feed is entered."""
        await self._subscriber.subscribe(channel)

    def unsubscribe(self, channel: str) -> None:
        """Read the channel no more."""
        self._subscriber.unsubscribe(channel)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message | Gap:
        while not self._unread:
            if self._closed:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._unread.popleft()

    def _take(self, channel: str, data: bytes) -> None:
        if len(self._unread) >= self._most:
            self._gap()
        self._unread.append(Message(channel, data))
        self._more.set()

    def _gap(self) -> None:
        self._unread.clear()  # whoever begins anew needs nothing of before
        self._unread.append(Gap())
        self._more.set()
