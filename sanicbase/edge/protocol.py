"""A connection: Sanic's protocol with deadlines that a slow client cannot move, and a close that loses no response.

| what the client does | limit |
|---|---|
| begins its first request, or the next one | KEEP_ALIVE_TIMEOUT, from the connection or the last response |
| sends a request with its body | REQUEST_TIMEOUT from its first byte, plus a second for each KiB of a streamed body |
| waits for a response | RESPONSE_TIMEOUT in which nothing is sent; then it gets a 503 |
| reads a response | a KiB per second, checked every RESPONSE_TIMEOUT |
| reads the last response | the same, and the stages of `sanicbase.edge.closing` |
| has sent FIN, and may wait for its responses | HALF_CLOSED_TIMEOUT, from the FIN or the last bytes that were sent |

A FIN does not say that the client has left (RFC 9112, 6.3), but one that has left sends the same FIN. Only sending
tells them apart: the kernel of a client that has left resets the connection.

All state belongs to the connection, and its timers end with it in `connection_lost`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf
from time import monotonic
from typing import Any

from sanic import Sanic
from sanic.exceptions import RequestTimeout, ServiceUnavailable
from sanic.http import Stage
from sanic.request import Request
from sanic.server.protocols.websocket_protocol import WebSocketProtocol
from sanic.server.websockets.impl import WebsocketImplProtocol

from sanicbase.edge.closing import MIN_RATE, StagedClose
from sanicbase.edge.errors import RefusedRequest
from sanicbase.edge.handshake import shake_hands
from sanicbase.edge.http import EdgeHttp
from sanicbase.edge.response import DefaultHeaders, ResponseHook
from sanicbase.edge.sockets import discard_unsent_on_close, has_failed, unsent_bytes

__all__ = ["EdgeProtocol", "http_events", "response_hooks"]

HALF_CLOSED_TIMEOUT = 1.0  # seconds

_interned: dict[frozenset[str], frozenset[str]] = {}  # all connections of an app share one set of events


class EdgeProtocol(WebSocketProtocol):
    """Called by the event loop for each connection, and by Sanic."""

    HTTP_CLASS: type[EdgeHttp] = EdgeHttp
    _callback_check_timeouts: Any  # Sanic says that it is always None
    _data_received: Any

    __slots__ = (
        "_body_bytes",
        "_buffer_size",
        "_closing",
        "_half_closed",
        "_is_unread",
        "_is_writable",
        "_reading_stopped",
        "_request_begun",
        "_sends_directly",
        "_timer",
        "_unsent",
        "_waiter",
        "default_headers",
        "http_events",
        "received_at",
        "response_hooks",
    )
    received_at: float
    """When bytes were received last, of `time.monotonic`, in the classes that need it."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop, app: Sanic[Any, Any], **options: Any) -> None:
        super().__init__(loop=loop, app=app, **options)
        self._data_received = None  # `_waiter` is used instead, and an Event would take 700 bytes of each connection
        self.http_events = http_events(app)
        self._sends_directly = self._is_writable = "http.lifecycle.send" not in self.http_events
        self.response_hooks = response_hooks(app)
        self.default_headers: DefaultHeaders | None = getattr(app.ctx, "default_headers", None)
        self._buffer_size = app.config.REQUEST_BUFFER_SIZE
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing: StagedClose | None = None
        self._half_closed: asyncio.TimerHandle | None = None  # set since the client's FIN
        self._reading_stopped = self._is_unread = False
        self._request_begun = 0.0
        self._body_bytes = self._unsent = 0

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        """Keep the bytes for the connection's task."""
        if self.websocket is not None:
            self.websocket.data_received(data)
            return
        if self._closing is not None:
            self._closing.received()
            return
        buffer = self.recv_buffer
        buffer += data
        if len(buffer) >= self._buffer_size and self.transport is not None:
            self._reading_stopped = True
            self.transport.pause_reading()
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to."""
        super().pause_writing()  # type: ignore[no-untyped-call]
        self._is_writable = False
        if self.websocket is None and self._closing is None:
            self._stop_timer()
            # Until then, the client's kernel takes what the client may never read.
            quarter = self.response_timeout / 4
            self._timer = self.loop.call_later(quarter, self._watch_progress, self.response_timeout - quarter)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()  # type: ignore[no-untyped-call]
        self._is_writable = self._sends_directly
        self._stop_timer()

    def eof_received(self) -> bool | None:
        """The client has sent FIN. True keeps the socket open until the client has everything."""
        if self._closing is not None:
            self._closing.client_has_ended()
        elif self.websocket is None and self._awaits_response():
            self._watch_half_closed()
        else:
            return super().eof_received()
        return self.transport is not None and self.transport.can_write_eof()  # not over TLS

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._stop_timer()
        if self._half_closed is not None:
            self._half_closed.cancel()
        if self._closing is not None:
            self._closing.stop()
        super().connection_lost(exc)  # type: ignore[no-untyped-call]

    # What EdgeHttp calls

    def resume_reading(self) -> None:
        """Resume reading if it has paused. Only reading detects the end of a connection."""
        if self._reading_stopped and self._half_closed is None and self.transport is not None:
            self._reading_stopped = False
            self.transport.resume_reading()

    def next_data(self) -> asyncio.Future[None]:
        """The future that is done when the client has sent more."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._waiter = waiter
        if self._reading_stopped:
            self._resume_or_end(waiter)
        return waiter

    async def receive_in_time(self) -> None:
        """The same in the middle of a request. If it does not arrive in time, the response is a 408."""
        http = self._http
        extra = self._body_bytes / MIN_RATE if http.request_max_size == inf else 0
        deadline = self._request_begun + self.request_timeout + extra
        timer = self.loop.call_later(max(0, deadline - monotonic()), self._time_out, RequestTimeout("Request Timeout"))
        http.is_reading = True
        try:
            await self.next_data()
        finally:
            http.is_reading = False
            timer.cancel()

    def begin_request(self) -> None:
        """The first byte of a request has arrived."""
        self._time = self._request_begun = monotonic()
        self._body_bytes = 0

    def body_received(self, size: int) -> None:
        """So many bytes of the request's body were read."""
        self._body_bytes += size
        self._time = monotonic()

    def end_requests(self, *, is_unread: bool) -> None:
        """The connection may be closed now. `is_unread` says whether the client may still be sending."""
        self._is_unread = is_unread

    @property
    def can_write(self) -> bool:
        """Whether `write` sends at once."""
        transport = self.transport
        return self._is_writable and transport is not None and not transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send, when `can_write` is true."""
        assert self.transport is not None  # noqa: S101
        self.transport.write(data)
        self._time = monotonic()

    # What Sanic calls

    async def websocket_handshake(
        self, request: Request[Any, Any], subprotocols: Sequence[str] | None = None
    ) -> WebsocketImplProtocol:
        """Answer the handshake of a WebSocket."""
        if self._half_closed is not None:  # it could not answer a close frame
            raise RefusedRequest("A WebSocket needs a connection on which the client can send.")
        if self.app.config.get("WEBSOCKET_DEFLATE"):
            return await shake_hands(self, request, subprotocols)
        websocket: WebsocketImplProtocol = await super().websocket_handshake(request, subprotocols)
        return websocket

    def check_timeouts(self) -> None:
        """Called at the start of a connection, and then by its own timer. A request that is being read has its own
        deadline."""
        http = self._http
        if self._task is None or http is None or self.websocket is not None:
            return
        duration, stage = monotonic() - self._time, http.stage
        limit = self.keep_alive_timeout if stage is Stage.IDLE else self.response_timeout
        is_watched = self._timer is not None and self.response_timeout <= limit
        if stage is Stage.IDLE and duration > limit and self._can_write.is_set() and not is_watched:
            self._task.cancel()
        elif stage in (Stage.HANDLER, Stage.RESPONSE, Stage.FAILED) and duration > limit and not http.is_reading:
            self._time_out(ServiceUnavailable("Response Timeout"))
        else:
            if stage is Stage.IDLE and self._timer is None and self._count_unsent():
                self._watch_progress(self.response_timeout - min(duration, self.response_timeout / 4), self._time)
            delay = min(self.keep_alive_timeout, self.request_timeout, self.response_timeout) / 4
            if 0 < limit - duration < delay:
                delay = limit - duration
            self._callback_check_timeouts = self.loop.call_later(max(0.1, delay), self.check_timeouts)

    def close(self, timeout: float | None = None) -> None:
        """Close the connection, in stages if the client may still be sending or has yet to acknowledge something: a
        socket that is closed with unread bytes is reset, and the client would not read the response (RFC 9112, 9.6)."""
        transport = self.transport
        if self._closing is not None:
            return
        if (
            self.websocket is None
            and transport is not None
            and not transport.is_closing()
            and (self._is_unread or unsent_bytes(transport))
        ):
            self._close_in_stages(transport)
        else:
            super().close(timeout)

    def _close_in_stages(self, transport: asyncio.Transport) -> None:
        if self._callback_check_timeouts:
            self._callback_check_timeouts.cancel()
        self._stop_timer()
        self.recv_buffer.clear()
        self._closing = StagedClose(self.loop, transport, self._reset)
        self._closing.end_writing(client_sends=self._is_unread)
        if not self._is_unread:  # it may keep an idle connection for long: its acknowledgement is enough
            self._closing.client_has_ended()
        self.resume_reading()

    def _awaits_response(self) -> bool:
        """Whether a request may have arrived completely and has not been answered: the connection's task does not wait
        for bytes. The handshake of a WebSocket does not count, because its client must be able to send."""
        http, waiter = self.http, self._waiter
        return http is not None and not http.upgrade_websocket and (waiter is None or waiter.done())

    def _watch_half_closed(self) -> None:
        self._reading_stopped = True
        self._half_closed = self.loop.call_later(HALF_CLOSED_TIMEOUT, self._check_half_closed, self._time)

    def _check_half_closed(self, last_sent: float) -> None:
        """Close the connection of a client that has probably left: it has reset the connection, or it has acknowledged
        everything, and nothing was sent since the last check. That cancels the request."""
        transport = self.transport
        if transport is None or self._closing is not None:
            return
        if has_failed(transport) or (self._time == last_sent and not unsent_bytes(transport)):
            transport.close()
        else:
            self._watch_half_closed()

    def _resume_or_end(self, waiter: asyncio.Future[None]) -> None:
        """Resume reading, or end the connection if the client has sent FIN."""
        if self._half_closed is None:
            self.resume_reading()
        elif self._http is not None and self._http.stage is Stage.IDLE:  # every request is answered
            waiter.cancel()  # ends the task, which closes the connection
        elif self.transport is not None:  # the client has ended in the middle of a request
            self.transport.close()

    def _time_out(self, error: Exception) -> None:
        """Cancel the request; the response is that error."""
        if self._task is not None and self._http is not None:
            self._http.exception = error
            self._task.cancel()

    def _watch_progress(self, seconds: float, idle_since: float | None = None) -> None:
        """Check after so many seconds whether the client has read enough of what is unsent now. `idle_since` is when
        the last response was written, if another one may be written until then, which is watched on its own."""
        self._unsent = self._count_unsent()
        self._timer = self.loop.call_later(seconds, self._check_progress, MIN_RATE * seconds, idle_since)

    def _check_progress(self, enough: float, idle_since: float | None) -> None:
        """Reset the connection if the client has not read so many bytes since the last check."""
        self._timer = None
        unsent = self._count_unsent()
        if not unsent or idle_since not in (None, self._time):
            return
        if self._unsent - unsent < enough:
            self._reset()
        else:
            self._watch_progress(self.response_timeout, idle_since)

    def _count_unsent(self) -> int:
        return 0 if self.transport is None else unsent_bytes(self.transport)

    def _reset(self) -> None:
        """Close the connection at once, and discard what the client has not read."""
        self._stop_timer()
        if self.transport is not None:
            discard_unsent_on_close(self.transport)
            self.abort()  # type: ignore[no-untyped-call]

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def http_events(app: Sanic[Any, Any]) -> frozenset[str]:
    """The HTTP signals that have handlers."""
    events = frozenset(
        signal.ctx.definition for signal in app.signal_router.routes if signal.ctx.definition.startswith("http.")
    )
    return _interned.setdefault(events, events)


def response_hooks(app: Sanic[Any, Any]) -> tuple[ResponseHook, ...]:
    """The response hooks of an app of `create_app`; a plain Sanic app has none."""
    return tuple(getattr(app.ctx, "response_hooks", ()))
