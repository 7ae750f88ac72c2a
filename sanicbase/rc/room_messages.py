"""Messages of rooms in Redis: the channel of a room, and how text and bytes are told apart in it.

`sanicbase.ws.Rooms` receives them; any process may send one, without Sanic.
"""

from __future__ import annotations

import re

from sanicbase.rc.clients import get_redis, namespace

__all__ = ["ROOM_NAME", "decode_room_message", "publish_to_room", "room_prefix"]

ROOM_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_MESSAGE = 64 * 1024  # bytes of a message
TEXT, BINARY = b"t", b"b"


async def publish_to_room(name: str, message: str | bytes, *, redis: str = "default") -> None:
    """Send text or bytes to every member of a room, from any process of the service: a handler, a job, a timer. It
    returns when Redis has accepted it. `redis` is that of the `Rooms`.

    Raises ValueError for an invalid name and above 64 KiB, redis-py's errors while Redis is unavailable, and
    NotOpenError outside a lifespan.
    """
    if not ROOM_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid room name: up to 64 letters, digits, dots, underscores, hyphens.")
    data = TEXT + message.encode() if isinstance(message, str) else BINARY + message
    if len(data) > MAX_MESSAGE + 1:
        raise ValueError(f"A room message may have at most {MAX_MESSAGE} bytes.")
    await get_redis(redis).publish(room_prefix() + name, data)


def room_prefix() -> str:
    """What the channel of a room begins with. Raises NotOpenError outside a lifespan."""
    return f"{namespace()}:room:"


def decode_room_message(data: bytes) -> str | bytes:
    """The message as it was sent."""
    return data[1:].decode() if data[:1] == TEXT else data[1:]
