"""A WebSocket connection after its handshake: receiving, sending, closing.

Sanic's own connection drops the messages that the handler has not received when the client closes, never ends the
handler of a client that sends invalid UTF-8, and may write after a close frame that waits for a slow client. So a
Connection replaces it, with `sanicbase.edge.websocket` as its reader.

Everything runs on the event loop of the worker, so there are no locks. The parts and their owners:

- The reader belongs to `_read_turn`, which handles at most MAX_FRAMES frames and lets the loop serve others before the
  next turn. Nothing is read from the socket while bytes wait in the reader, so a client cannot be ahead of its turns
  by more than one read.
- The queue of messages is filled by `_read_turn` and emptied by `receive`. A full queue stops the turns; `receive`
  schedules the next one. The turns go on after the connection is lost, until the reader is empty.
- A cancellation of Sanic's task changes nothing here: the view's own task receives what is left.

The close frame is written after all messages. When the client has answered it, a StagedClose ends the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Self

from sanic.server.protocols.websocket_protocol import WebSocketProtocol
from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.frames import CloseCode, Opcode
from websockets.protocol import State

from sanicbase.edge.closing import StagedClose
from sanicbase.edge.deflate import window_bits
from sanicbase.edge.frames import close_frame, encode_compressed, encode_message, ping_frame, pong_frame
from sanicbase.edge.sockets import reset, unsent_bytes
from sanicbase.edge.websocket import ControlFrame, MessageReader, ProtocolViolation
from sanicbase.metrics import Counter
from sanicbase.ws.keepalive import KeepAlive

__all__ = ["Connection"]

SENT = Counter("sanicbase_websocket_sent_total", "Messages to clients.")
MAX_QUEUED = 16  # messages that wait for the view; then the client must wait
MAX_QUEUED_BYTES = 64 * 1024  # or that many bytes
MAX_SIZE = 1024 * 1024  # bytes of a message, where Sanic is configured without a limit
MAX_FRAMES = 128  # frames of one client that are handled before others have their turn
SEND_TIMEOUT = 10.0  # seconds in which a client must read enough for the next message
MAX_UNSENT = 1024 * 1024  # bytes that a client has not read, without the message that exceeds them


class Connection:
    """A WebSocket in both directions. Sanic calls `data_received`, `eof_received`, `connection_lost`, `close` and
    `end_connection`, and reads `loop`, `ws_proto` and its `state`; the rest is the view's."""

    def __init__(self, websocket: WebsocketImplProtocol, protocol: WebSocketProtocol) -> None:
        self.state = State.OPEN
        self.loop = asyncio.get_running_loop()
        self._protocol = protocol
        assert protocol.transport is not None  # noqa: S101  (Sanic forgets it when the connection is lost; not we)
        self._transport = protocol.transport
        self.window_bits = window_bits(websocket.ws_proto)
        self._reader = MessageReader(protocol.websocket_max_size or MAX_SIZE, inflates=self.window_bits > 0)
        self._queue: deque[str | bytes] = deque()
        self._queued_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._turn: asyncio.Handle | None = None
        self._pongs: list[bytes] = []
        self._over = False  # no more bytes come
        self._deaf = False  # those that come are ignored
        self._dropping = False  # their messages are
        self._paused = False
        self._close_sent: int | None = None
        self._close_received: int | None = None
        self._client_closed_first = False
        self._failed: int | None = None
        self._client_has_ended = False
        self._on_over: Callable[[], None] | None = None
        self._keep_alive = KeepAlive(self._ping, self._on_ping_timeout, websocket.ping_interval, websocket.ping_timeout)
        self._closing = StagedClose(self.loop, self._transport, self.abort)

    @classmethod
    def take_over(cls, websocket: WebsocketImplProtocol) -> Connection:
        """Replace Sanic's connection. Call it as soon as Sanic passes the connection on, before any await: its tasks
        have not started, and what the client has sent behind its handshake waits in the protocol."""
        protocol = websocket.io_proto
        assert isinstance(protocol, WebSocketProtocol)  # noqa: S101  (it has just shaken hands)
        for task in (websocket.keepalive_ping_task, websocket.auto_closer_task):
            if task is not None:
                task.cancel()
        websocket.io_proto = None  # Sanic still closes its own object when a signal's handler is cancelled
        websocket.ws_proto.state = State.CLOSED
        connection = cls(websocket, protocol)
        protocol.websocket = connection  # type: ignore[assignment]
        connection._keep_alive.start()
        if protocol.recv_buffer:
            connection._reader.feed(bytes(protocol.recv_buffer))
            protocol.recv_buffer.clear()
            connection._paused = True  # Sanic may have paused it, and the turn resumes it
            connection._schedule_turn()
        return connection

    @property
    def ws_proto(self) -> Self:
        """Itself: Sanic reads the state of a connection there."""
        return self

    @property
    def open(self) -> bool:
        """Whether the connection is open: neither side has started to close it."""
        return self.state is State.OPEN

    @property
    def over(self) -> bool:
        """Whether nothing more is received; messages that were received may still wait."""
        return self._over

    @property
    def code(self) -> int:
        """The close code, once it is over: that of the side that closed first, or 1006 when the connection was lost."""
        if self._failed is not None:
            return self._failed
        if self._close_received is not None and (self._close_sent is None or self._client_closed_first):
            return self._close_received
        return int(CloseCode.ABNORMAL_CLOSURE) if self._close_sent is None else self._close_sent

    def call_when_over(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` once nothing more is received; None removes it."""
        self._on_over = callback

    async def receive(self) -> str | bytes | None:
        """The next message; None when it is over and no message is left."""
        while not self._queue:
            if self._over and self._turn is None:
                return None
            self._waiter = self.loop.create_future()
            await self._waiter
        message = self._queue.popleft()
        self._queued_bytes -= len(message)
        if self._paused and self._turn is None and not self._full:
            self._schedule_turn()
        return message

    async def send(self, message: str | bytes) -> None:
        """Send a message as soon as the client has read enough; abort the connection when it reads nothing for
        SEND_TIMEOUT. Does nothing when it is closed."""
        # Not Sanic's send(): it frames the message before it waits, so a close frame may be written first.
        if not self._protocol._can_write.is_set():  # noqa: SLF001
            await self._wait_until_writable()
        self.send_nowait(message)

    def send_nowait(self, message: str | bytes) -> None:
        """Send a message without waiting; abort the connection when more than MAX_UNSENT bytes are already waiting."""
        if self.state is State.OPEN:
            bits = self.window_bits
            self.write(encode_compressed(message, bits) if bits else encode_message(message))
            SENT.inc()

    @staticmethod
    def send_to_all(connections: Iterable[Connection], message: str | bytes) -> None:
        """Send a message to many clients as `send_nowait` does, encoded once, and once for each size of the window that
        clients with compression have."""
        frames, sent = {0: encode_message(message)}, 0
        for connection in connections:
            if connection.state is State.OPEN:
                bits = connection.window_bits
                if bits not in frames:
                    frames[bits] = encode_compressed(message, bits)
                connection.write(frames[bits])
                sent += 1
        SENT.inc(amount=sent)

    def start_closing(self, code: int, reason: str = "") -> None:
        """Close it; messages that the client sends until it answers are still received. Does nothing when it is
        closed."""
        if self.open:
            self._send_close(code, reason)
            self._closing.wait()

    def stop_receiving(self) -> None:
        """Drop the waiting messages and all later ones."""
        self._dropping = True
        self._queue.clear()
        self._queued_bytes = 0
        self._end_reading()
        if self._paused and self._turn is None:
            self._schedule_turn()

    def fail(self, code: int, reason: str = "") -> None:
        """Close because of a failure: nothing more is received."""
        if self._over:
            self.start_closing(code, reason)
            return
        self._failed = code
        if self.open:
            self._send_close(code, reason)
        self._ignore_input()
        self._closing.end_writing()

    def abort(self) -> None:
        """Abort the connection, including unsent data."""
        self.state = State.CLOSED
        reset(self._transport)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Called by Sanic when the server stops."""
        self.start_closing(code, reason)

    def end_connection(self, code: int = 1000, reason: str = "") -> None:
        """Called by Sanic when the handler is done."""
        self.start_closing(code, reason)

    def data_received(self, data: bytes) -> None:
        """Called by Sanic."""
        self._keep_alive.received()
        if not self._deaf:
            self._reader.feed(data)
            if self._turn is None:
                self._read_turn()

    def eof_received(self) -> bool:
        """Called by Sanic. True keeps the socket open until the client has everything; TLS closes it in any case."""
        self._client_has_ended = True
        if self.state is State.OPEN:
            self.state = State.CLOSING
        self._end_reading()
        self._closing.client_has_ended()
        self._closing.end_writing()
        return self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by Sanic."""
        self.state = State.CLOSED
        self._end_reading()
        self._keep_alive.stop()
        self._closing.stop()

    def _ping(self) -> None:
        if self.open:
            self.write(ping_frame())

    def _on_ping_timeout(self) -> None:
        if not self._paused:  # while messages wait for the view nothing is read from the client
            self.fail(CloseCode.INTERNAL_ERROR, "no answer to a ping")

    def _read_turn(self) -> None:
        """Handle frames until no whole one is left, the queue is full, or the turn is over."""
        self._turn = None
        read = self._reader.read
        try:
            for _ in range(MAX_FRAMES):
                event = read()
                if event is None:
                    self._resume()
                    break
                if isinstance(event, (str, bytes)):
                    if not self._dropping and self._enqueue(event):
                        self._pause()
                        break
                elif isinstance(event, ControlFrame):
                    self._handle_control(event)
                    if self._deaf:
                        break
            else:
                self._pause()
                self._schedule_turn()
        except ProtocolViolation as exc:
            self.fail(exc.code, exc.reason)
            self._ignore_input()  # also when it was over, such as a client that breaks the protocol instead of closing
            self._closing.end_writing()
        if self._pongs:
            self._write_pongs()
        if self._over:
            self._wake()

    def _schedule_turn(self) -> None:
        self._turn = self.loop.call_soon(self._read_turn)

    def _enqueue(self, message: str | bytes) -> bool:
        """Add a message; returns whether the queue is now full."""
        self._queue.append(message)
        self._queued_bytes += len(message)
        if self._waiter is not None:
            self._wake()
        return self._full

    def _handle_control(self, frame: ControlFrame) -> None:
        if frame.opcode is Opcode.PING:
            if self.open:
                self._pongs.append(pong_frame(frame.payload))
        elif frame.opcode is Opcode.CLOSE:
            self._on_close(frame.close_code)

    def _on_close(self, code: int | None) -> None:
        """Handle the client's close frame: answer it, unless it is the answer to ours, and end the connection."""
        self._close_received = int(CloseCode.NO_STATUS_RCVD) if code is None else code
        if self.open:
            self._client_closed_first = True
            self._send_close(code)
        self._ignore_input()
        self._closing.end_writing()

    def _ignore_input(self) -> None:
        """Read and discard everything that the client sends from now on: closing a socket with unread bytes would
        discard what was written, even the close frame."""
        self._deaf = True
        self._reader = MessageReader(0)  # its bytes and its message are of no use
        self._resume()
        self._end_reading()

    @property
    def _full(self) -> bool:
        return len(self._queue) >= MAX_QUEUED or self._queued_bytes >= MAX_QUEUED_BYTES

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if not self._client_has_ended and not self._transport.is_closing():
                self._transport.resume_reading()

    def _end_reading(self) -> None:
        was_over, self._over = self._over, True
        self._wake()
        if self._on_over and not was_over:
            self._on_over()

    def _wake(self) -> None:
        """Wake up `receive`."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait_until_writable(self) -> None:
        """Wait while the client has too much to read and keeps reading."""
        writable = self._protocol._can_write  # noqa: SLF001
        unsent = unsent_bytes(self._transport)
        while True:
            try:
                async with asyncio.timeout(SEND_TIMEOUT):
                    await writable.wait()
            except TimeoutError:
                before, unsent = unsent, unsent_bytes(self._transport)
                if unsent >= before:
                    self.abort()
                    return
            else:
                return

    def write(self, data: bytes) -> None:
        """Write a frame, or abort the connection when more than MAX_UNSENT bytes are already waiting."""
        transport = self._transport
        if transport.get_write_buffer_size() > MAX_UNSENT:
            self.abort()
        elif not transport.is_closing():  # a write has failed, and connection_lost is to come
            transport.write(data)

    def _write_pongs(self) -> None:
        """Answer all pings of a turn in one write."""
        pongs, self._pongs = self._pongs, []
        if self.open:
            self.write(b"".join(pongs))

    def _send_close(self, code: int | None, reason: str = "") -> None:
        self._write_pongs()
        if not self.open:  # the pongs were too many
            return
        self._close_sent = int(CloseCode.NO_STATUS_RCVD) if code is None else code
        self.write(close_frame(code, reason))
        if self.open:
            self.state = State.CLOSING
