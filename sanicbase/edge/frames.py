"""WebSocket frames as a server writes them (RFC 6455, section 5)."""

from __future__ import annotations

import struct
from typing import Final

from websockets.frames import Opcode

from sanicbase.edge.deflate import compress

__all__ = ["close_frame", "encode_compressed", "encode_message", "is_close_code", "ping_frame", "pong_frame"]

MAX_CONTROL: Final = 125  # bytes of a control frame's payload, section 5.5
MAX_REASON: Final = MAX_CONTROL - 2  # bytes, after the code of a close frame
FIN: Final = 0x80
COMPRESSED: Final = 0x40  # RSV1, RFC 7692, section 6
RESERVED_CODES: Final = frozenset({1004, 1005, 1006})  # no frame may carry them, section 7.4.1
LAST_REGISTERED_CODE: Final = 1014  # IANA's registry ends here, except for 1015, which no frame may carry either

_SHORT_HEADS = {opcode: [bytes((FIN | opcode, length)) for length in range(126)] for opcode in Opcode}
_TEXT_HEADS = _SHORT_HEADS[Opcode.TEXT]
_BINARY_HEADS = _SHORT_HEADS[Opcode.BINARY]


def encode_message(message: str | bytes) -> bytes:
    """The frame of a message: text for a string, binary for bytes."""
    if isinstance(message, str):
        payload = message.encode()
        if len(payload) <= MAX_CONTROL:
            return _TEXT_HEADS[len(payload)] + payload
        return _long_head(FIN | Opcode.TEXT, len(payload)) + payload
    if len(message) <= MAX_CONTROL:
        return _BINARY_HEADS[len(message)] + message
    return _long_head(FIN | Opcode.BINARY, len(message)) + message


def encode_compressed(message: str | bytes, bits: int) -> bytes:
    """The frame of a message for a client with permessage-deflate, compressed if that makes it smaller; `bits` is the
    base-two logarithm of its window."""
    is_text = isinstance(message, str)
    payload = message.encode() if isinstance(message, str) else message
    compressed = compress(payload, bits)
    if compressed is None:
        return encode_message(message)
    first = FIN | COMPRESSED | (Opcode.TEXT if is_text else Opcode.BINARY)
    if len(compressed) <= MAX_CONTROL:
        return bytes((first, len(compressed))) + compressed
    return _long_head(first, len(compressed)) + compressed


def ping_frame() -> bytes:
    """A ping without a payload."""
    return _SHORT_HEADS[Opcode.PING][0]


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping with that payload, of at most 125 bytes."""
    return _SHORT_HEADS[Opcode.PONG][len(payload)] + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A close frame, without a code if that is None. The reason is cut to 123 bytes of whole characters."""
    if code is None:
        return _SHORT_HEADS[Opcode.CLOSE][0]
    text = reason.encode()[:MAX_REASON].decode(errors="ignore").encode()
    payload = code.to_bytes(2, "big") + text
    return _SHORT_HEADS[Opcode.CLOSE][len(payload)] + payload


def is_close_code(code: int) -> bool:
    """Whether a close frame may carry the code (RFC 6455, section 7.4)."""
    return 3000 <= code <= 4999 or (1000 <= code <= LAST_REGISTERED_CODE and code not in RESERVED_CODES)


def _long_head(first: int, length: int) -> bytes:
    if length < 0x10000:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)
