"""Server-sent events: streams of events that browsers read with EventSource (WHATWG HTML, 9.2).

The view's generator runs in a task of its own, the producer, which is at most one event ahead of the client.

| event | what happens |
|---|---|
| nothing happens for EVENT_STREAM_PING_INTERVAL | a comment is sent; no proxy and no RESPONSE_TIMEOUT ends it |
| the client leaves | the producer is cancelled |
| the client does not read | the producer waits; the connection's own deadline for slow readers ends it |
| the service stops, or the worker is replaced | the producer is cancelled, the stream ends, EventSource reconnects |
| the generator raises before the head is sent | the error has its own status |
| it raises later | the stream breaks off, and EventSource reconnects |
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sanic.http import Http

from sanicbase.errors import SanicBaseError
from sanicbase.http.envelope import HTTPContext
from sanicbase.http.request import Request
from sanicbase.server.context import App

__all__ = ["Event", "EventStream", "encode_event", "end_event_streams", "send_events"]

T_co = TypeVar("T_co", covariant=True)

CONTENT_TYPE = "text/event-stream; charset=utf-8"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # or nginx would buffer events
PING = b":\n\n"
HEAD_DELAY = 0.25  # seconds in which a generator may refuse the request
LINE_END = re.compile(r"\r\n|\r|\n")
NO_FIELD = re.compile(r"[\r\n\0]")


@dataclass(frozen=True)
class Event(Generic[T_co]):
    """An event of an EventStream. `data` is sent as JSON, text as it is.

    `event` is its type, or "message" if it is empty. A client that reconnects sends the last `id` as `Last-Event-ID`.
    `retry` is how long it waits before it reconnects, in milliseconds. Raises SanicBaseError for a line break in type
    or id.
    """

    data: T_co
    event: str = ""
    id: str = ""
    retry: int | None = None

    def __post_init__(self) -> None:
        for name in ("event", "id"):
            if NO_FIELD.search(value := getattr(self, name)):
                raise SanicBaseError(f"The {name} of an event must not contain line breaks or NUL: {value!r}.")


EventStream = AsyncIterator[Event[T_co] | T_co]
"""The return type of a view that sends events: `-> EventStream[Article]` yields articles, or Events of them."""


def encode_event(item: object, to_json: Callable[[Any], bytes]) -> bytes:
    """An event, or its data, as it is sent."""
    event = item if isinstance(item, Event) else Event(item)
    fields = [f"event: {event.event}"] if event.event else []
    fields += [f"id: {event.id}"] if event.id else []
    fields += [f"retry: {event.retry}"] if event.retry is not None else []
    text = event.data if isinstance(event.data, str) else to_json(event.data).decode()
    fields += [f"data: {line}" for line in LINE_END.split(text)]
    return "".join([f"{field}\n" for field in (*fields, "")]).encode(errors="replace")


async def send_events(request: Request, events: Any, to_json: Callable[[Any], bytes]) -> None:
    """Send the events of a view's generator until it ends, the client disconnects or the service stops."""
    if not hasattr(events, "__aiter__"):
        events = await events
    response = await request.respond(headers=dict(HEADERS), content_type=CONTENT_TYPE)
    assert response is not None  # noqa: S101  (nothing has been sent before)
    if (
        request.method == "HEAD" or request.app.ctx.draining
    ):  # EventSource reconnects after an empty stream, but not after a 503
        await _close(events)
        await response.send(PING)
        if request.method == "HEAD":
            assert isinstance(request.stream, Http)  # noqa: S101
            request.stream.head_response_ignored(b"", True)  # Sanic's send awaits it, and it is not async
            return
    else:
        await _Stream(events, to_json).send(request, response)
    await response.eof()


class _Stream:
    """One stream: its producer, and the events that are ready."""

    def __init__(self, events: Any, to_json: Callable[[Any], bytes]) -> None:
        self._events = events
        self._to_json = to_json
        self._ready: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)

    async def send(self, request: Request, response: Any) -> None:
        """Send until the producer has ended. Raises its exception."""
        config = request.app.ctx.config
        interval = min(config.EVENT_STREAM_PING_INTERVAL, config.RESPONSE_TIMEOUT / 2)
        producer = asyncio.create_task(self._produce(), name=f"events of {request.path}")
        streams = _streams(request.app)
        streams.add(producer)
        try:
            patience = min(HEAD_DELAY, interval)
            while (item := await self._next(producer, patience)) is not None:
                await response.send(item)
                patience = interval
        finally:
            streams.discard(producer)
            producer.cancel()
            await asyncio.wait((producer,))
        if not producer.cancelled() and (error := producer.exception()) is not None:
            raise error

    async def _produce(self) -> None:
        async with aclosing(self._events) if hasattr(self._events, "aclose") else nullcontext():
            async for item in self._events:
                await self._ready.put(encode_event(item, self._to_json))

    async def _next(self, producer: asyncio.Task[None], patience: float) -> bytes | None:
        """The next event, a ping if there is none in time, and None at the end."""
        if self._ready.empty() and not producer.done():
            item = asyncio.create_task(self._ready.get())
            try:
                await asyncio.wait((item, producer), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            finally:
                item.cancel()
            if item.done() and not item.cancelled():
                return item.result()
        if not self._ready.empty():
            return self._ready.get_nowait()
        return None if producer.done() else PING


async def end_event_streams(app: App) -> None:
    """End the streams of a server that stops, so that the clients reconnect to another one."""
    for producer in _streams(app):
        producer.cancel()


def _streams(app: App) -> set[asyncio.Task[None]]:
    assert isinstance(app.ctx, HTTPContext)  # noqa: S101  (create_app makes no other)
    return app.ctx.event_streams


async def _close(events: Any) -> None:
    if hasattr(events, "aclose"):
        await events.aclose()
