"""A WebSocket connection after its handshake: receiving, sending, closing.

Sanic's own connection drops the messages that the handler has not received when the client closes, never ends the
handler of a client that sends invalid UTF-8, and may write after a close frame that waits for a slow client. So a
Connection replaces it; the protocol itself stays that of the websockets package, as in Sanic.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from sanic.server.protocols.websocket_protocol import WebSocketProtocol
from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State

from sanicbase.ws.keepalive import KeepAlive

__all__ = ["Connection"]

MAX_QUEUED = 16  # messages that wait for the view; then the client must wait
MAX_QUEUED_BYTES = 64 * 1024  # or that many bytes
SEND_TIMEOUT = 10.0  # seconds in which a client must read enough for the next message
MAX_UNSENT = 1024 * 1024  # bytes that a client has not read, without the message that exceeds them
CLOSE_TIMEOUT = 5.0  # seconds in which a client must answer a close frame
MAX_REASON = 123  # bytes, the most that a close frame takes


class Connection:
    """A WebSocket in both directions. Sanic calls `data_received`, `eof_received`, `connection_lost`, `close` and
    `end_connection`, and reads `loop` and `ws_proto`; the rest is the view's."""

    def __init__(self, websocket: WebsocketImplProtocol, protocol: WebSocketProtocol) -> None:
        self.ws_proto = websocket.ws_proto
        self.loop = asyncio.get_running_loop()
        self._protocol = protocol
        assert protocol.transport is not None  # noqa: S101  (Sanic forgets it when the connection is lost; not we)
        self._transport = protocol.transport
        self._queue: deque[str | bytes] = deque()
        self._queued_bytes = 0
        self._partial: tuple[Opcode, bytearray] | None = None
        self._arrived = asyncio.Event()
        self._over = False
        self._paused = False
        self._failed: int | None = None
        self._lost = False
        self._on_over: Callable[[], None] | None = None
        self._keep_alive = KeepAlive(self._ping, self._on_ping_timeout, websocket.ping_interval, websocket.ping_timeout)
        self._close_timer: asyncio.TimerHandle | None = None

    @classmethod
    def take_over(cls, websocket: WebsocketImplProtocol) -> Connection:
        """Replace Sanic's connection. Call it as soon as Sanic passes the connection on, before any await: nothing was
        received by then, and its tasks have not started."""
        protocol = websocket.io_proto
        assert isinstance(protocol, WebSocketProtocol)  # noqa: S101  (it has just shaken hands)
        for task in (websocket.keepalive_ping_task, websocket.auto_closer_task):
            if task is not None:
                task.cancel()
        connection = cls(websocket, protocol)
        protocol.websocket = connection  # type: ignore[assignment]
        connection._keep_alive.start()
        return connection

    @property
    def open(self) -> bool:
        """Whether neither side has started to close it."""
        return self.ws_proto.state is State.OPEN and not self._lost

    @property
    def over(self) -> bool:
        """Whether nothing more is received; messages that were received may still wait."""
        return self._over

    @property
    def code(self) -> int:
        """The close code, once it is over: that of the side that closed first, or 1006 when the connection was lost."""
        ours, theirs = self.ws_proto.close_sent, self.ws_proto.close_rcvd
        if self._failed is not None:
            return self._failed
        if theirs is not None and (ours is None or self.ws_proto.close_rcvd_then_sent):
            return int(theirs.code)
        return int(ours.code) if ours is not None else int(CloseCode.ABNORMAL_CLOSURE)

    def call_when_over(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` once nothing more is received; None removes it."""
        self._on_over = callback

    async def receive(self) -> str | bytes | None:
        """The next message; None when it is over and no message is left."""
        while not self._queue:
            if self._over:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        message = self._queue.popleft()
        self._queued_bytes -= len(message)
        if not self._full:
            self._resume()
        return message

    async def send(self, message: str | bytes) -> None:
        """Send a message, once the client has read enough; the connection is cut when it does not within SEND_TIMEOUT.
        When it is closed nothing is sent."""
        # Not Sanic's send(): it frames the message before it waits, so a close frame may be written first.
        writable = self._protocol._can_write  # noqa: SLF001
        if not writable.is_set():
            try:
                async with asyncio.timeout(SEND_TIMEOUT):
                    await writable.wait()
            except TimeoutError:
                self.abort()
        self.send_nowait(message)

    def send_nowait(self, message: str | bytes) -> None:
        """Send a message without waiting; the connection is cut when more than MAX_UNSENT bytes wait already."""
        if not self.open:
            return
        if isinstance(message, str):
            self.ws_proto.send_text(message.encode())
        else:
            self.ws_proto.send_binary(message)
        self._flush()

    def start_closing(self, code: int, reason: str = "") -> None:
        """Close it; what the client sends until it answers is still received. Does nothing when it is closed."""
        if self.open:
            self.ws_proto.send_close(code, _truncated(reason))
            self._flush()
            self._start_close_timer()

    def stop_receiving(self) -> None:
        """Drop the messages that wait, and those to come."""
        self._queue.clear()
        self._queued_bytes = 0
        self._end_reading()
        self._resume()

    def fail(self, code: int, reason: str = "") -> None:
        """Close because of a failure: nothing more is received."""
        if self._over:
            self.start_closing(code, reason)
            return
        self._failed = code
        self.ws_proto.fail(code, _truncated(reason))
        self._end_reading()
        self._flush()

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Called by Sanic when the server stops."""
        self.start_closing(code, reason)

    def end_connection(self, code: int = 1000, reason: str = "") -> None:
        """Called by Sanic when the handler is done."""
        self.start_closing(code, reason)

    def data_received(self, data: bytes) -> None:
        self._keep_alive.received()
        self.ws_proto.receive_data(data)
        self._receive(self.ws_proto.events_received())
        self._flush()

    def eof_received(self) -> bool:
        self.ws_proto.receive_eof()
        self._receive(self.ws_proto.events_received())
        self._end_reading()
        self._start_close_timer()
        return False  # the transport closes itself once everything is sent

    def connection_lost(self, exc: Exception | None) -> None:
        self.ws_proto.receive_eof()
        self._lost = True
        self._end_reading()
        self._keep_alive.stop()
        if self._close_timer:
            self._close_timer.cancel()

    def _ping(self) -> None:
        if self.open:
            self.ws_proto.send_ping(b"")
            self._flush()

    def _on_ping_timeout(self) -> None:
        if not self._paused:  # while messages wait for the view nothing is read from the client
            self.fail(CloseCode.INTERNAL_ERROR, "no answer to a ping")

    def _receive(self, events: Iterable[Event]) -> None:
        for frame in events:
            if self._over or not isinstance(frame, Frame):
                return
            if frame.opcode is Opcode.CLOSE:
                self._end_reading()
            elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._assemble(frame)
        if self.ws_proto.parser_exc is not None:  # 1002, 1009: the protocol has failed it already
            self._end_reading()

    def _assemble(self, frame: Frame) -> None:
        """Add a frame to its message; the protocol has checked their order and size."""
        kind, data = self._partial or (frame.opcode, bytearray())
        data += frame.data
        self._partial = None if frame.fin else (kind, data)
        if not frame.fin:
            return
        try:
            message = data.decode() if kind is Opcode.TEXT else bytes(data)
        except UnicodeDecodeError as exc:
            self.fail(CloseCode.INVALID_DATA, f"{exc.reason} at position {exc.start}")
            return
        self._queue.append(message)
        self._queued_bytes += len(message)
        self._arrived.set()
        if self._full and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    @property
    def _full(self) -> bool:
        return len(self._queue) >= MAX_QUEUED or self._queued_bytes >= MAX_QUEUED_BYTES

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _end_reading(self) -> None:
        was_over, self._over = self._over, True
        self._partial = None
        self._arrived.set()
        if self._on_over and not was_over:
            self._on_over()

    def _flush(self) -> None:
        for data in self.ws_proto.data_to_send():
            if self._transport.is_closing():
                return
            if not data:
                self._end_writing()
            elif self._transport.get_write_buffer_size() > MAX_UNSENT:
                self.abort()
            else:
                self._transport.write(data)

    def _end_writing(self) -> None:
        """Send no more. The socket stays open until the client closes it: closing it with unread data would discard the
        close frame."""
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._resume()
            self._start_close_timer()
        else:
            self._transport.close()

    def _start_close_timer(self) -> None:
        if self._close_timer is None and not self._lost:
            self._close_timer = self.loop.call_later(CLOSE_TIMEOUT, self.abort)


def _truncated(reason: str) -> str:
    return reason.encode()[:MAX_REASON].decode(errors="ignore")
