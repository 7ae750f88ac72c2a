"""WebSockets (RFC 6455) with as little as a server must be asked with: no extensions, whole text messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from benchmarks.load.job import Job
from benchmarks.load.tally import Tally

TEXT, PING, PONG, CLOSE = 0x1, 0x9, 0xA, 0x8
END_OF_HEAD = b"\r\n\r\n"
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Client(asyncio.Protocol):
    """One connection. `on_message` is called with each message's payload; `open` is done after the handshake."""

    def __init__(self, job: Job, tally: Tally, on_message: Callable[[Client, bytes], None]) -> None:
        self._job = job
        self._tally = tally
        self._on_message = on_message
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.closing = False
        self.sent = 0.0
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        path = self._job.requests[0].decode()
        self._transport.write(HANDSHAKE.format(path=path, port=self._job.port).encode())

    def data_received(self, data: bytes) -> None:
        """Read the answer to the handshake, and then frames."""
        buffer = self._buffer + data if self._buffer else data
        if not self.open.done():
            head, end, buffer = buffer.partition(END_OF_HEAD)
            if not end:
                self._buffer = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.open.set_exception(ConnectionError(head.decode("latin-1")))
                return
            self.open.set_result(None)
        self._buffer = self._read_frames(buffer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it as an error, unless it is the end of the measurement."""
        if not self.open.done():
            self.open.set_exception(ConnectionError("The server closed the connection during the handshake."))
        if not self.closing:
            self._tally.error("The server closed a WebSocket.")

    def send(self, frame: bytes) -> None:
        """Write a frame, and note the time."""
        self.sent = time.perf_counter()
        self._write(frame)

    def close(self) -> None:
        """End the connection."""
        self.closing = True
        if self._transport is not None:
            self._transport.abort()

    def _write(self, frame: bytes) -> None:
        assert self._transport is not None
        self._transport.write(frame)

    def _read_frames(self, buffer: bytes) -> bytes:
        """Handle the frames that are whole, and return the rest."""
        while len(buffer) >= 2:
            start, length = _payload(buffer)
            if len(buffer) < start + length:
                break
            payload, opcode = buffer[start : start + length], buffer[0] & 0x0F
            buffer = buffer[start + length :]
            if opcode == TEXT:
                self._on_message(self, payload)
            elif opcode == PING:
                self._write(frame_of(payload, PONG))
            elif opcode == CLOSE:
                self._tally.error(f"The server closed a WebSocket: {payload!r}")
        return buffer


def frame_of(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame of up to 125 bytes. Its mask is zero, which leaves the payload as it is; servers apply it."""
    assert len(payload) < 126
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


def _payload(buffer: bytes) -> tuple[int, int]:
    """Where the payload of the server's frame begins, and how long it is; past the buffer while that is not known."""
    length = buffer[1] & 0x7F
    if length < 126:
        return 2, length
    width = 2 if length == 126 else 8
    return 2 + width, int.from_bytes(buffer[2 : 2 + width], "big")


async def connect_echo(job: Job, tally: Tally) -> list[Client]:
    """Connections of which each sends a message as soon as the last one has come back."""
    message = job.requests[1]
    frame = frame_of(message)

    def on_message(client: Client, payload: bytes) -> None:
        if payload == message:
            tally.latencies.append(time.perf_counter() - client.sent)
        else:
            tally.error(f"The echo was another message: {payload!r}")
        client.send(frame)

    clients = await _connect(job, tally, on_message)
    for client in clients:
        client.send(frame)
    return clients


async def connect_room(job: Job, tally: Tally) -> list[Client]:
    """Members of one room: the first sends a message as soon as the last one has reached all, itself included."""
    message = job.requests[1]
    frame = frame_of(message)
    received = 0

    def on_message(client: Client, payload: bytes) -> None:
        nonlocal received
        if payload != message:
            tally.error(f"The room said something else: {payload!r}")
        received += 1
        if received == job.connections:
            received = 0
            tally.latencies.append(time.perf_counter() - clients[0].sent)
            clients[0].send(frame)

    clients = await _connect(job, tally, on_message)
    await asyncio.sleep(0.5)  # a server may add a member after its handshake was answered
    clients[0].send(frame)
    return clients


async def _connect(job: Job, tally: Tally, on_message: Callable[[Client, bytes], None]) -> list[Client]:
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(job.connections):
        _, client = await loop.create_connection(lambda: Client(job, tally, on_message), "127.0.0.1", job.port)
        await client.open
        clients.append(client)
    return clients
