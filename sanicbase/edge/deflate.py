"""Compressed messages: permessage-deflate (RFC 7692) without context takeover.

Neither side may refer to earlier messages (`server_no_context_takeover`, `client_no_context_takeover`), so a connection
holds no memory between its messages, and a message to many clients is compressed once.
"""

from __future__ import annotations

import zlib
from typing import Final

from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.protocol import Protocol

__all__ = ["Inflater", "TooLargeError", "compress", "extension", "window_bits"]

MIN_SIZE: Final = 128  # bytes of a payload below which compressing it costs more than it saves
_MAX_WINDOW_BITS: Final = 15
_TAIL: Final = b"\x00\x00\xff\xff"  # the end of what Z_SYNC_FLUSH writes, which no message carries, section 7.2.1


class TooLargeError(Exception):
    """A message exceeds its limit when it is inflated."""


def extension() -> ServerPerMessageDeflateFactory:
    """The extension that a server offers. A client that asks for a window of 256 bytes gets no compression, because
    zlib does not support that window."""
    return ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)


def window_bits(protocol: Protocol) -> int:
    """The base-two logarithm of the window that the client uses for our messages; 0 without the extension."""
    for negotiated in protocol.extensions:
        if isinstance(negotiated, PerMessageDeflate):
            return negotiated.local_max_window_bits
    return 0


def compress(payload: bytes, bits: int) -> bytes | None:
    """The payload as deflated blocks; None if they are not smaller."""
    if len(payload) < MIN_SIZE:
        return None
    compressor = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, -bits)
    deflated = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return deflated[: -len(_TAIL)] if len(deflated) - len(_TAIL) < len(payload) else None


class Inflater:
    """One message, inflated while it arrives. At most `limit` bytes are inflated, whatever the data would expand to."""

    __slots__ = ("_had_last_block", "_inflater")

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(-_MAX_WINDOW_BITS)
        self._had_last_block = False

    def inflate(self, data: bytes, limit: int, *, is_last: bool) -> bytes:
        """Inflate the next bytes of the message. Raises TooLargeError above `limit` bytes, and zlib.error."""
        if is_last:
            data += _TAIL
        inflated = self._inflater.decompress(data, limit + 1)
        if self._inflater.eof:
            # A block was marked as the last one, as section 7.2.3.4 allows. One more stream may follow; more of them
            # would only cost time.
            rest, self._inflater = self._inflater.unused_data, zlib.decompressobj(-_MAX_WINDOW_BITS)
            inflated += self._inflater.decompress(rest, limit + 1)
            if self._had_last_block or self._inflater.eof:
                raise zlib.error("more than one last block")
            self._had_last_block = True
        if len(inflated) > limit:
            raise TooLargeError
        return inflated
