"""Rooms: a message to a room reaches its members on every worker, through Redis."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from types import TracebackType
from typing import Protocol, Self

from sanic.exceptions import BadRequest, ServiceUnavailable

from sanicbase.errors import NotOpenError, ResourceError
from sanicbase.rc import get_redis
from sanicbase.rc.clients import namespace
from sanicbase.rc.subscriber import Subscriber

__all__ = ["Member", "Rooms"]

logger = logging.getLogger("sanicbase.ws")

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_MESSAGE = 64 * 1024  # bytes of a message
JOIN_TIMEOUT = 10.0  # seconds from the admission of a client until it joins
TEXT, BINARY = b"t", b"b"


class Member(Protocol):
    """A member of a room, such as a WSView."""

    def send_nowait(self, message: str | bytes) -> None: ...


class Rooms:
    """The rooms of a service; a resource to pass to `create_app`.

        rooms = Rooms()
        app = create_app(config, ws, resources=(rooms,))

    A worker has one connection to Redis for all of its rooms, and subscribes to those that have a member there. The
    messages of one publisher arrive in their order, and all members receive the same order. A member that reads slowly
    or has gone delays no other. Nothing is stored: while Redis is away messages are lost, which is logged.

    A name has up to 64 ASCII letters, digits, dots, underscores and hyphens.
    """

    name = "rooms"

    def __init__(self, redis: str = "default") -> None:
        self._redis = redis
        self._members: defaultdict[str, set[Member]] = defaultdict(set)
        self._expected: defaultdict[str, set[asyncio.TimerHandle]] = defaultdict(set)
        self._subscriber: Subscriber | None = None

    async def __aenter__(self) -> Self:
        self._prefix = f"{namespace()}:room:"
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
        self._members.clear()
        self._expected.clear()

    async def ping(self) -> None:
        """Nothing to check: the Redis clients ping the server."""

    async def admit(self, name: str) -> None:
        """Subscribe to the room before its client is admitted, so that the client misses no message. Call it in the
        view's `admit`.

        Raises Sanic's BadRequest for an invalid name, ServiceUnavailable while Redis is away.
        """
        if not NAME.fullmatch(name):
            raise BadRequest("A room's name has up to 64 letters, digits, dots, underscores and hyphens.")
        self._expect(name)
        try:
            await self._open().subscribe(self._prefix + name)
        except ResourceError as exc:
            raise ServiceUnavailable("The room is temporarily unavailable. Try again later.") from exc

    async def join(self, name: str, member: Member) -> None:
        """Add a member. Raises ValueError for an invalid name, ResourceError while Redis is away."""
        if not NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a valid room name: up to 64 letters, digits, dots, underscores, hyphens."
            )
        self._members[name].add(member)
        try:
            await self._open().subscribe(self._prefix + name)
        except BaseException:
            self.leave(name, member)
            raise

    def leave(self, name: str, member: Member) -> None:
        """Remove a member. Does nothing when it is not one."""
        if name in self._members:
            self._members[name].discard(member)
            self._close_if_empty(name)

    async def publish(self, name: str, message: str | bytes) -> None:
        """Send text or bytes to every member on every worker; it returns when Redis has accepted it.

        Raises ValueError above 64 KiB, and redis-py's errors while Redis is away.
        """
        data = TEXT + message.encode() if isinstance(message, str) else BINARY + message
        if len(data) > MAX_MESSAGE + 1:
            raise ValueError(f"A room message may have at most {MAX_MESSAGE} bytes.")
        self._open()
        await get_redis(self._redis).publish(self._prefix + name, data)

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
        message = data[1:].decode() if data[:1] == TEXT else data[1:]
        for member in tuple(self._members.get(channel.removeprefix(self._prefix), ())):
            member.send_nowait(message)

    def _on_messages_lost(self) -> None:
        logger.warning("Messages of %d rooms may be lost: Redis was unavailable.", len(self._members))
