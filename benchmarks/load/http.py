"""HTTP/1.1 over kept connections: each sends a prepared request as soon as the answer to the last one is there."""

from __future__ import annotations

import asyncio
import random
import time
from typing import cast

from benchmarks.load.job import Job
from benchmarks.load.tally import Tally

END_OF_HEAD = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class Client(asyncio.Protocol):
    """One connection, which walks through the requests in a circle from a place of its own."""

    def __init__(self, job: Job, tally: Tally) -> None:
        self._requests = job.requests
        self._next = random.randrange(len(job.requests))
        self._status = str(job.status).encode()
        self._tally = tally
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count an answer that is whole, and send the next request."""
        buffer = self._buffer + data if self._buffer else data
        length = answer_length(buffer)
        if length is None or len(buffer) < length:
            self._buffer = buffer
            return
        if buffer[9:12] == self._status and len(buffer) == length:
            self._tally.latencies.append(time.perf_counter() - self._sent)
        else:
            self._tally.error(buffer[:300].decode("latin-1"))
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it as an error, unless it is the end of the measurement."""
        if not self.closing:
            self._tally.error("The server closed a connection.")

    def close(self) -> None:
        """End the connection."""
        self.closing = True
        if self._transport is not None:
            self._transport.abort()

    def _send(self) -> None:
        request = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        self._sent = time.perf_counter()
        assert self._transport is not None
        self._transport.write(request)


def answer_length(buffer: bytes) -> int | None:
    """How many bytes the answer has that begins here; None while that cannot be told."""
    head_end = buffer.find(END_OF_HEAD)
    if head_end < 0:
        return None
    head = buffer[:head_end].lower()
    at = head.find(b"content-length:")
    if at >= 0:
        line_end = head.find(b"\r\n", at)
        return head_end + 4 + int(head[at + 15 : line_end if line_end >= 0 else None])
    if b"transfer-encoding: chunked" in head:
        return len(buffer) if buffer.endswith(LAST_CHUNK) else None
    return head_end + 4


async def connect(job: Job, tally: Tally) -> list[Client]:
    """All connections, of which each has begun to ask."""
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(job.connections):
        _, client = await loop.create_connection(lambda: Client(job, tally), "127.0.0.1", job.port)
        clients.append(client)
    return clients
