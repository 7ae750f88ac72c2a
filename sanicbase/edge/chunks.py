"""A body in chunks, read piece by piece from a buffer (RFC 9112, 7.1)."""

from __future__ import annotations

import re

from sanicbase.edge.errors import RefusedRequest
from sanicbase.edge.head import check_trailers

__all__ = ["ChunkedBody"]

# Extensions of RFC 9112, 7.1.1, in ASCII, and without the whitespace that it allows for old senders.
NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
QUOTED = rb'"(?:[\t !#-\[\]-~]|\\[\t -~])*+"'
SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;%b(?:=(?:%b|%b))?)*+" % (NAME, NAME, QUOTED))
BEGINNING = re.compile(rb"[0-9A-Fa-f]{1,16}(?:;[\t -~]*)?\Z")
LINE_BREAK = b"\r\n"
MAX_CHUNKS = 256  # whose data is returned at once, because a body may have millions of tiny ones
MAX_LINE = 256  # bytes of a size and its extensions; ordinary clients send none
MAX_EXTENSIONS = 4096  # bytes of all extensions of a body
MAX_TRAILERS = 8192  # bytes


class ChunkedBody:
    """The state of a body in chunks: `take` removes its framing and its data from the buffer of the connection."""

    __slots__ = ("_extensions", "_in_trailers", "_left", "_needs_line_break", "declared", "ended")

    def __init__(self) -> None:
        self.declared = 0
        """The total of the chunk sizes so far, including data that has not arrived yet."""
        self.ended = False
        self._left = 0
        self._needs_line_break = False
        self._in_trailers = False
        self._extensions = 0

    def take(self, buffer: bytearray) -> bytes | None:
        """The next bytes of the body; empty when it ended, None when more must be received. Raises RefusedRequest.

        They are those of at most MAX_CHUNKS chunks. Their sizes are added to `declared` before the data is returned, so
        a limit can refuse it first.
        """
        pieces: list[bytes] = []
        try:
            while len(pieces) < MAX_CHUNKS and (piece := self._take_piece(buffer)):
                pieces.append(piece)
        except RefusedRequest:
            if not pieces:
                raise  # otherwise the next call does
        if pieces:
            return b"".join(pieces)
        return b"" if self.ended else None

    def _take_piece(self, buffer: bytearray) -> bytes | None:
        while not self._left and not self.ended:
            if not self._step(buffer):
                return None
        if self.ended:
            return b""
        return self._data(buffer) if buffer else None

    def _step(self, buffer: bytearray) -> bool:
        """Read a piece of the framing. Returns whether it was complete."""
        if self._in_trailers:
            return self._take_trailers(buffer)
        return (not self._needs_line_break or self._take_line_break(buffer)) and self._take_size(buffer)

    def _data(self, buffer: bytearray) -> bytes:
        data = bytes(buffer[: self._left])
        del buffer[: len(data)]
        self._left -= len(data)
        self._needs_line_break = not self._left
        return data

    def _take_line_break(self, buffer: bytearray) -> bool:
        """Read the line break after the data of a chunk. Returns whether it was complete."""
        if not LINE_BREAK.startswith(bytes(buffer[:2])):
            raise RefusedRequest("A chunk is longer than its size.")
        if len(buffer) < len(LINE_BREAK):
            return False
        del buffer[:2]
        self._needs_line_break = False
        return True

    def _take_size(self, buffer: bytearray) -> bool:
        """Read the line of a size. Returns whether it was complete."""
        end = buffer.find(b"\r\n", 0, MAX_LINE + 2)
        if end < 0:
            beginning = bytes(buffer).removesuffix(b"\r")
            if len(buffer) > MAX_LINE or (beginning and not BEGINNING.match(beginning)):
                raise RefusedRequest("The size of a chunk is malformed.")
            return False
        match = SIZE.fullmatch(buffer, 0, end)
        if match is None:
            raise RefusedRequest("The size of a chunk is malformed.")
        size = int(match[1], 16)
        self._extensions += end - len(match[1])
        if self._extensions > MAX_EXTENSIONS:
            raise RefusedRequest("The chunk extensions are too long.")
        del match, buffer[: end + 2]
        self.declared += size
        self._left = size
        self._in_trailers = not size
        return True

    def _take_trailers(self, buffer: bytearray) -> bool:
        """Skip the trailers, and the empty line that ends the body. Returns whether they were complete."""
        if buffer[:2] == b"\r\n":
            del buffer[:2]
            self.ended = True
            return True
        end = buffer.find(b"\r\n\r\n", 0, MAX_TRAILERS)
        if end < 0:
            if len(buffer) >= MAX_TRAILERS:
                raise RefusedRequest("The trailers are too large.", 431)
            return False
        check_trailers(bytes(buffer[: end + 2]))
        del buffer[: end + 4]
        self.ended = True
        return True
