"""Messages of a few channels, read in a loop."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from redis.asyncio import Redis, RedisCluster

from sanicbase.rc.clients import any_client
from sanicbase.rc.subscriber import Subscriber

__all__ = ["Message", "MessagesLost", "PubSub", "pubsub"]

MAX_UNREAD = 10_000


@dataclass(frozen=True)
class Message:
    """A published message."""

    channel: str
    data: bytes


@dataclass(frozen=True)
class MessagesLost:
    """Messages may have been lost before this point. A reader that needs all of them reads their source again."""


def pubsub(*channels: str, redis: str = "default", max_unread: int = MAX_UNREAD) -> PubSub:
    """Read the messages of channels, from a server, from a master named by Sentinels or from a Cluster:

        async with pubsub("prices", "news") as messages:
            async for message in messages:
                if isinstance(message, MessagesLost): ...

    Messages arrive in the server's order; a Cluster keeps only the order of messages that one node published. The
    connection is separate and reconnects by itself, also to a new master. MessagesLost marks the place where it was
    interrupted, or where more than `max_unread` messages were waiting and were dropped. Raises NotOpenError outside a
    lifespan.
    """
    return PubSub(any_client(redis), channels, max_unread)


class PubSub:
    """An async context manager and iterator, made by `pubsub`. One task may read it."""

    def __init__(self, redis: Redis | RedisCluster, channels: tuple[str, ...], max_unread: int) -> None:
        self._channels = channels
        self._unread: deque[Message | MessagesLost] = deque()
        self._max_unread = max_unread
        self._new_message = asyncio.Event()
        self._closed = False
        self._subscriber = Subscriber(redis, self._on_message, self._on_loss)

    async def __aenter__(self) -> Self:
        """Subscribe, and return when every message published from now on will be read.

        Raises ResourceError when the server does not confirm the subscriptions within 5 seconds.
        """
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
        self._new_message.set()

    async def subscribe(self, channel: str) -> None:
        """Read another channel as well. Raises as `__aenter__`."""
        await self._subscriber.subscribe(channel)

    def unsubscribe(self, channel: str) -> None:
        """Stop reading the channel."""
        self._subscriber.unsubscribe(channel)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message | MessagesLost:
        while not self._unread:
            if self._closed:
                raise StopAsyncIteration
            self._new_message.clear()
            await self._new_message.wait()
        return self._unread.popleft()

    def _on_message(self, channel: str, data: bytes) -> None:
        if len(self._unread) >= self._max_unread:
            self._on_loss()
        self._unread.append(Message(channel, data))
        self._new_message.set()

    def _on_loss(self) -> None:
        self._unread.clear()  # a reader that starts again needs no earlier message
        self._unread.append(MessagesLost())
        self._new_message.set()
