"""Rooms: a message to a room reaches its members on every worker, through Redis."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from sanic.exceptions import BadRequest, ServiceUnavailable

from sanicbase.errors import NotOpenError, ResourceError
from sanicbase.rc import get_redis
from sanicbase.rc.room_messages import ROOM_NAME, decode_room_message, publish_to_room, room_prefix
from sanicbase.rc.subscriber import Subscriber
from sanicbase.tracing import current_recorder
from sanicbase.ws.view import Member, send_to_all

__all__ = ["Member", "Rooms"]

logger = logging.getLogger("sanicbase.ws")

JOIN_TIMEOUT = 10.0  # seconds from the admission of a client until it joins
MAX_WAITING = 100  # messages that a listener has not read


class Rooms:
    """The rooms of a service; a resource to pass to `create_app`.

        rooms = Rooms()
        app = create_app(config, ws, resources=(rooms,))

    A worker has one connection to Redis for all of its rooms, and subscribes to those that have a member there. The
    messages of one publisher arrive in their order, and all members receive the same order. A message is encoded once
    for all members of a worker. A member that reads slowly or has disconnected does not delay others. Nothing is
    stored: messages are lost while Redis is unavailable, and the log says so.

    A name has up to 64 ASCII letters, digits, dots, underscores and hyphens.
    """

    name = "rooms"

    def __init__(self, redis: str = "default") -> None:
        self._redis = redis
        self._members: defaultdict[str, set[Member]] = defaultdict(set)
        self._expected: defaultdict[str, set[asyncio.TimerHandle]] = defaultdict(set)
        self._subscriber: Subscriber | None = None

    async def __aenter__(self) -> Self:
        self._prefix = room_prefix()
        self._subscriber = await Subscriber(get_redis(self._redis), self._deliver, self._on_messages_lost).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subscriber, self._subscriber = self._subscriber, None
        if subscriber:
            await subscriber.__aexit__(kind, error, trace)
        for handle in set().union(*self._expected.values()):
            handle.cancel()
        self._end_listeners()
        self._members.clear()
        self._expected.clear()

    async def ping(self) -> None:
        """Nothing to check: the Redis clients ping the server."""

    async def admit(self, name: str) -> None:
        """Subscribe to the room before its client is admitted, so that the client misses no message. Call it in the
        view's `admit`.

        Raises Sanic's BadRequest for an invalid name, ServiceUnavailable while Redis is unavailable.
        """
        if not ROOM_NAME.fullmatch(name):
            raise BadRequest("A room's name has up to 64 letters, digits, dots, underscores and hyphens.")
        self._expect(name)
        try:
            await self._open().subscribe(self._prefix + name)
        except ResourceError as exc:
            raise ServiceUnavailable("The room is temporarily unavailable. Try again later.") from exc

    async def join(self, name: str, member: Member) -> None:
        """Add a member. Raises ValueError for an invalid name, ResourceError while Redis is unavailable."""
        if not ROOM_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a valid room name: up to 64 letters, digits, dots, underscores, hyphens."
            )
        self._members[name].add(member)
        try:
            await self._open().subscribe(self._prefix + name)
        except BaseException:
            self.leave(name, member)
            raise

    @asynccontextmanager
    async def listen(self, name: str) -> AsyncIterator[AsyncIterator[str | bytes]]:
        """The messages of a room, for readers other than WebSockets:

            async with rooms.listen("articles") as messages:
                async for message in messages: ...

        They end when the reader is more than 100 messages behind, and when Redis was unavailable and some may be lost.
        Raises ValueError for an invalid name, ResourceError while Redis is unavailable.
        """
        listener = Listener()
        await self.join(name, listener)
        try:
            yield listener
        finally:
            self.leave(name, listener)

    def leave(self, name: str, member: Member) -> None:
        """Remove a member, if it is one."""
        if name in self._members:
            self._members[name].discard(member)
            self._close_if_empty(name)

    async def publish(self, name: str, message: str | bytes) -> None:
        """Send text or bytes to every member on every worker; it returns when Redis has accepted it. Processes without
        rooms use `sanicbase.rc.publish_to_room`.

        Raises ValueError above 64 KiB, and redis-py's errors while Redis is unavailable.
        """
        self._open()
        await publish_to_room(name, message, redis=self._redis)

    def _open(self) -> Subscriber:
        if self._subscriber is None:
            raise NotOpenError("The rooms are not open. Pass them to the app: `create_app(…, resources=(rooms,))`.")
        return self._subscriber

    def _expect(self, name: str) -> None:
        """Stay subscribed until the admitted client has joined, or JOIN_TIMEOUT is over."""

        def forget() -> None:
            self._expected[name].discard(handle)
            self._close_if_empty(name)

        handle = asyncio.get_running_loop().call_later(JOIN_TIMEOUT, forget)
        self._expected[name].add(handle)

    def _close_if_empty(self, name: str) -> None:
        if not self._members.get(name) and not self._expected.get(name):
            self._members.pop(name, None)
            self._expected.pop(name, None)
            if self._subscriber:
                self._subscriber.unsubscribe(self._prefix + name)

    def _deliver(self, channel: str, data: bytes) -> None:
        name = channel.removeprefix(self._prefix)
        members = tuple(self._members.get(name, ()))
        message, trace = decode_room_message(data)
        recorder = current_recorder() if trace else None
        if recorder is None:
            send_to_all(members, message)
            return
        attributes: dict[str, str | int] = {"messaging.destination.name": name, "sanicbase.room.members": len(members)}
        with recorder.root("deliver to a room", "consumer", attributes, parent=trace):
            send_to_all(members, message)

    def _on_messages_lost(self) -> None:
        logger.warning("Messages of %d rooms may be lost: Redis was unavailable.", len(self._members))
        self._end_listeners()

    def _end_listeners(self) -> None:
        for member in [member for members in self._members.values() for member in members]:
            if isinstance(member, Listener):
                member.end()


class Listener:
    """A member that keeps its messages until they are read. It belongs to one task."""

    def __init__(self) -> None:
        self._waiting: deque[str | bytes] = deque()
        self._changed = asyncio.Event()
        self._ended = False

    def send_nowait(self, message: str | bytes) -> None:
        """Keep a message."""
        if len(self._waiting) >= MAX_WAITING:
            self.end()
        if not self._ended:
            self._waiting.append(message)
            self._changed.set()

    def end(self) -> None:
        """Deliver the messages that have already arrived, and no others."""
        self._ended = True
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()
