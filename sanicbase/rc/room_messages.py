"""Messages of rooms in Redis: the channel of a room, and how text and bytes are told apart in it.

`sanicbase.ws.Rooms` receives them; any process may send one, without Sanic.
"""

from __future__ import annotations

import re

from sanicbase.rc.clients import get_redis, namespace
from sanicbase.tracing import sampled_recorder

__all__ = ["ROOM_NAME", "decode_room_message", "publish_to_room", "room_prefix"]

ROOM_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_MESSAGE = 64 * 1024  # bytes of a message
TEXT, BINARY = b"t", b"b"
TRACED_TEXT, TRACED_BINARY = b"T", b"B"  # of a recorded trace: its name and a line feed precede the message


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
    recorder = sampled_recorder()
    if recorder is None:
        await get_redis(redis).publish(room_prefix() + name, data)
        return
    with recorder.span("publish to a room", "producer", {"messaging.destination.name": name}):
        head = (TRACED_TEXT if data[:1] == TEXT else TRACED_BINARY) + recorder.carried().encode() + b"\n"
        await get_redis(redis).publish(room_prefix() + name, head + data[1:])


def room_prefix() -> str:
    """What the channel of a room begins with. Raises NotOpenError outside a lifespan."""
    return f"{namespace()}:room:"


def decode_room_message(data: bytes) -> tuple[str | bytes, str]:
    """The message as it was sent, and the name of its trace, which is empty if the trace is not recorded."""
    kind, body, trace = data[:1], data[1:], b""
    if kind in (TRACED_TEXT, TRACED_BINARY):
        trace, _, body = body.partition(b"\n")
    return body.decode() if kind in (TEXT, TRACED_TEXT) else body, trace.decode()
