"""A client that writes frames by hand, wrong ones too."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, masked: bool = True) -> bytes:
    """A frame of a client's."""
    first = bytes([(0x80 if fin else 0) | opcode])
    mask_bit = 0x80 if masked else 0
    if len(data) < 126:
        length = bytes([mask_bit | len(data)])
    elif len(data) < 65536:
        length = bytes([mask_bit | 126]) + struct.pack("!H", len(data))
    else:
        length = bytes([mask_bit | 127]) + struct.pack("!Q", len(data))
    return first + length + (b"\0\0\0\0" if masked else b"") + data


def close(code: int | None = 1000) -> bytes:
    """A close frame, without a code if that is None."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code))


class RawClient:
    """The two ends of a socket that has become a WebSocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, *frames: bytes) -> None:
        """Send frames in one piece."""
        self.writer.write(b"".join(frames))

    async def read_frame(self) -> tuple[int, bytes]:
        """The opcode and the data of the server's next frame."""
        first, length = await self.reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(length)

    async def read_close(self) -> int:
        """The code of the close frame that comes sooner or later. It is answered, and the end of the stream follows."""
        while True:
            opcode, data = await self.read_frame()
            if opcode == CLOSE:
                self.write(frame(CLOSE, data))
                assert await self.reader.read() == b""
                return int(struct.unpack("!H", data[:2])[0]) if data else 1005

    def cut(self) -> None:
        """Vanish without a word."""
        self.writer.transport.abort()


@asynccontextmanager
async def raw_client(
    port: int, path: str, *, receive_buffer: int | None = None, limit: int = 65_536
) -> AsyncIterator[RawClient]:
    """Shake hands and yield the client; its socket is closed at the end. `receive_buffer` is that of the kernel, and
    `limit` half of that of the reader, in bytes."""
    bound = socket.socket()
    if receive_buffer is not None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    bound.setblocking(False)
    await asyncio.get_running_loop().sock_connect(bound, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=bound, limit=limit)
    try:
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head, head
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
