"""One WebSocket after its handshake: what comes in, what goes out, how it ends.

Sanic's own connection drops the messages that were not handed out when the client closed, never ends the handler of a
client that sent invalid UTF-8, and may send while a client that does not read holds up its closing. So a Connection
takes its place; the protocol itself stays that of the websockets package, as in Sanic.
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

INBOX = 16  # messages that may wait for the view; then the client has to
INBOX_BYTES = 64 * 1024  # or that many bytes
SEND_TIMEOUT = 10.0  # seconds in which a client has to make room for what is sent to it
MOST_UNSENT = 1024 * 1024  # bytes that may wait for a client to read them, besides the message that crosses the line
CLOSE_TIMEOUT = 5.0  # seconds in which a client has to answer a close
REASON = 123  # bytes, the most that a close frame takes


class Connection:
    """A WebSocket in both directions. Sanic calls `data_received`, `eof_received`, `connection_lost`, `close` and
    `end_connection`, and reads `loop` and `ws_proto`; the rest is the view's."""

    def __init__(self, sanics: WebsocketImplProtocol, protocol: WebSocketProtocol) -> None:
        self.ws_proto = sanics.ws_proto
        self.loop = asyncio.get_running_loop()
        self._protocol = protocol
        assert protocol.transport is not None  # noqa: S101  (Sanic forgets it when the connection is lost; not we)
        self._transport = protocol.transport
        self._inbox: deque[str | bytes] = deque()
        self._inbox_bytes = 0
        self._partial: tuple[Opcode, bytearray] | None = None
        self._arrived = asyncio.Event()
        self._reading_over = False
        self._paused = False
        self._failed: int | None = None
        self._lost = False
        self._on_over: Callable[[], None] | None = None
        self._keep_alive = KeepAlive(self._ping, self._give_up, sanics.ping_interval, sanics.ping_timeout)
        self._end_timer: asyncio.TimerHandle | None = None

    @classmethod
    def take_over(cls, sanics: WebsocketImplProtocol) -> Connection:
        """Take the place of Sanic's connection, to be called in the very step in which Sanic hands it out: nothing
        was received by then, and its tasks have not begun."""
        protocol = sanics.io_proto
        assert isinstance(protocol, WebSocketProtocol)  # noqa: S101  (it has just shaken hands)
        for task in (sanics.keepalive_ping_task, sanics.auto_closer_task):
            if task is not None:
                task.cancel()
        connection = cls(sanics, protocol)
        protocol.websocket = connection  # type: ignore[assignment]
        connection._keep_alive.start()
        return connection

    @property
    def open(self) -> bool:
        """Whether neither side has begun to close it."""
        return self.ws_proto.state is State.OPEN and not self._lost

    @property
    def over(self) -> bool:
        """Whether nothing more is received, for good; what was received may still wait."""
        return self._reading_over

    @property
    def code(self) -> int:
        """The code by which it ended, once it is over: of whoever closed it first; 1006 when it was lost instead."""
        ours, theirs = self.ws_proto.close_sent, self.ws_proto.close_rcvd
        if self._failed is not None:
            return self._failed
        if theirs is not None and (ours is None or self.ws_proto.close_rcvd_then_sent):
            return int(theirs.code)
        return int(ours.code) if ours is not None else int(CloseCode.ABNORMAL_CLOSURE)

    def call_when_over(self, callback: Callable[[], None] | None) -> None:
        """Have it called once nothing more is received; None takes that back."""
        self._on_over = callback

    async def receive(self) -> str | bytes | None:
        """The next message; None when it is over and every message was handed out."""
        while not self._inbox:
            if self._reading_over:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        message = self._inbox.popleft()
        self._inbox_bytes -= len(message)
        if not self._full:
            self._resume()
        return message

    async def send(self, message: str | bytes) -> None:
        """Send a message, once the client has made room for it; the connection is cut when it does not within
        SEND_TIMEOUT. When it is closed nothing is sent."""
        # Sanic's send() would do, if it did not write after a wait what was framed before it: a close may be first.
        writable = self._protocol._can_write  # noqa: SLF001
        if not writable.is_set():
            try:
                async with asyncio.timeout(SEND_TIMEOUT):
                    await writable.wait()
            except TimeoutError:
                self.abort()
        self.send_nowait(message)

    def send_nowait(self, message: str | bytes) -> None:
        """Send a message without a wait; the connection is cut when more than MOST_UNSENT bytes wait already."""
        if not self.open:
            return
        if isinstance(message, str):
            self.ws_proto.send_text(message.encode())
        else:
            self.ws_proto.send_binary(message)
        self._flush()

    def start_closing(self, code: int, reason: str = "") -> None:
        """Close it; what the client sends until it answers is still received. Nothing happens when it is closed."""
        if self.open:
            self.ws_proto.send_close(code, _fitting(reason))
            self._flush()
            self._expect_end()

    def stop_receiving(self) -> None:
        """Drop the messages that were not handed out, and those to come."""
        self._inbox.clear()
        self._inbox_bytes = 0
        self._end_reading()
        self._resume()

    def fail(self, code: int, reason: str = "") -> None:
        """Close because of a failure: nothing more is received."""
        if self._reading_over:
            self.start_closing(code, reason)
            return
        self._failed = code
        self.ws_proto.fail(code, _fitting(reason))
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
        self._keep_alive.heard()
        self.ws_proto.receive_data(data)
        self._take(self.ws_proto.events_received())
        self._flush()

    def eof_received(self) -> bool:
        self.ws_proto.receive_eof()
        self._take(self.ws_proto.events_received())
        self._end_reading()
        self._expect_end()
        return False  # the transport closes itself once what waits is sent

    def connection_lost(self, exc: Exception | None) -> None:
        self.ws_proto.receive_eof()
        self._lost = True
        self._end_reading()
        self._keep_alive.stop()
        if self._end_timer:
            self._end_timer.cancel()

    def _ping(self) -> None:
        if self.open:
            self.ws_proto.send_ping(b"")
            self._flush()

    def _give_up(self) -> None:
        if not self._paused:  # while the view is behind with its messages nobody listens to the client
            self.fail(CloseCode.INTERNAL_ERROR, "no answer to a ping")

    def _take(self, events: Iterable[Event]) -> None:
        for frame in events:
            if self._reading_over or not isinstance(frame, Frame):
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
        self._inbox.append(message)
        self._inbox_bytes += len(message)
        self._arrived.set()
        if self._full and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    @property
    def _full(self) -> bool:
        return len(self._inbox) >= INBOX or self._inbox_bytes >= INBOX_BYTES

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _end_reading(self) -> None:
        begun, self._reading_over = self._reading_over, True
        self._partial = None
        self._arrived.set()
        if self._on_over and not begun:
            self._on_over()

    def _flush(self) -> None:
        for data in self.ws_proto.data_to_send():
            if self._transport.is_closing():
                return
            if not data:
                self._end_writing()
            elif self._transport.get_write_buffer_size() > MOST_UNSENT:
                self.abort()
            else:
                self._transport.write(data)

    def _end_writing(self) -> None:
        """Nothing more is sent. The socket stays open for the client's end: closed at once, with something unread in
        it, it would take the close frame along."""
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._resume()
            self._expect_end()
        else:
            self._transport.close()

    def _expect_end(self) -> None:
        if self._end_timer is None and not self._lost:
            self._end_timer = self.loop.call_later(CLOSE_TIMEOUT, self.abort)


def _fitting(reason: str) -> str:
    return reason.encode()[:REASON].decode(errors="ignore")
