"""Reading a client's WebSocket frames, and assembling their messages (RFC 6455, sections 5, 7.4 and 8.1).

A MessageReader does no I/O. Its caller decides how many frames to read at a time, because a read of 64 KiB may
contain ten thousand.
"""

from __future__ import annotations

import codecs
import zlib
from typing import Final, NamedTuple

from websockets.frames import CloseCode, Opcode

from sanicbase.edge.deflate import Inflater, TooLargeError
from sanicbase.edge.frames import COMPRESSED, FIN, MAX_CONTROL, is_close_code

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without its wheel
    from websockets.utils import apply_mask

__all__ = ["FRAGMENT", "ControlFrame", "Fragment", "MessageReader", "ProtocolViolation"]

MIN_FRAGMENTS: Final = 1024  # fragments that every message may have
BYTES_PER_FRAGMENT: Final = 64  # and one for so many bytes of the maximum size
MAX_CONTROLS: Final = 1024  # control frames between the fragments of one message

_TEXT_FRAME: Final = FIN | Opcode.TEXT
_BINARY_FRAME: Final = FIN | Opcode.BINARY
_COMPRESSED_MESSAGES: Final = (COMPRESSED | Opcode.TEXT, COMPRESSED | Opcode.BINARY)
_MASKED: Final = 0x80
_CONTROL: Final = 0x08
_RESERVED_BITS: Final = 0x70
_OPCODES: Final = frozenset(int(opcode) for opcode in Opcode)
_FRAME_HEAD: Final = 2
_MASK: Final = 4

_new_decoder = codecs.getincrementaldecoder("utf-8")


class ProtocolViolation(Exception):
    """The client broke the protocol, and nothing more can be read. `code` is the close code with the reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class ControlFrame(NamedTuple):
    """A ping, a pong, or a close frame, whose payload has been checked."""

    opcode: Opcode
    payload: bytes

    @property
    def close_code(self) -> int | None:
        """The code of a close frame; None when it has none."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else None


class Fragment:
    """A frame, or a piece of one, that does not complete its message."""


FRAGMENT: Final = Fragment()


class MessageReader:
    """The messages and control frames in a client's stream of bytes.

    It holds the bytes that were fed and not read yet, and one message of at most `max_size` bytes, which also limits
    the inflated size of a compressed message (`inflates`). Do not use it after a ProtocolViolation.
    """

    __slots__ = (
        "_buffer",
        "_controls",
        "_final",
        "_fragments",
        "_inflater",
        "_inflates",
        "_mask",
        "_max_fragments",
        "_max_frame",
        "_max_size",
        "_message",
        "_opcode",
        "_position",
        "_remaining",
        "_utf8",
    )

    def __init__(self, max_size: int, *, inflates: bool = False) -> None:
        self._max_size = max_size
        self._inflates = inflates
        # Deflating what cannot be compressed makes it a little larger: five bytes for each block of 16 KiB at most.
        self._max_frame = max_size + max_size // 1024 + 64 if inflates else max_size
        self._max_fragments = MIN_FRAGMENTS + max_size // BYTES_PER_FRAGMENT
        self._buffer = b""
        self._position = 0
        # The frame whose payload is being read:
        self._remaining = 0
        self._mask = b""
        self._final = True
        # The message that it belongs to:
        self._opcode = 0
        self._message = bytearray()
        self._inflater: Inflater | None = None
        self._utf8 = _new_decoder()
        self._fragments = 0
        self._controls = 0

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        if self._position == len(self._buffer):
            self._buffer = data
        else:
            self._buffer = self._buffer[self._position :] + data
        self._position = 0

    def read(self) -> str | bytes | ControlFrame | Fragment | None:
        """The next message or control frame; FRAGMENT for a part of a message; None when more bytes are needed.

        Each call reads at most one frame. Text that is not UTF-8, a frame that breaks the protocol and a message that
        is too large are refused at the first wrong byte: ProtocolViolation with 1007, 1002 or 1009, and with 1008 for a
        message of too many fragments.
        """
        if self._remaining:
            return self._read_payload()
        buffer, position = self._buffer, self._position
        if len(buffer) - position < _FRAME_HEAD:
            return None
        first, length = buffer[position], buffer[position + 1] - _MASKED
        start = position + _FRAME_HEAD + _MASK
        end = start + length
        # The fast path: most frames are short, complete, and a whole message. All others take `_read_frame`.
        if (
            self._opcode
            or not 0 <= length <= MAX_CONTROL
            or end > len(buffer)
            or length > self._max_size
            or (first != _TEXT_FRAME and first != _BINARY_FRAME)
        ):
            return self._read_frame(first, length)
        self._position = end
        payload = apply_mask(buffer[start:end], buffer[start - _MASK : start])
        return payload if first == _BINARY_FRAME else _decode(payload)

    def _read_frame(self, first: int, length: int) -> str | bytes | ControlFrame | Fragment | None:
        """The general path. `length` is the second byte without the mask bit; it is negative if the bit was not set."""
        opcode = first & 0x0F
        if first & _RESERVED_BITS and not self._begins_compressed(first):
            raise _violation("a reserved bit is set")
        if opcode not in _OPCODES:
            raise _violation(f"unknown opcode {opcode}")
        if length < 0:
            raise _violation("a client's frame is not masked")
        if opcode & _CONTROL:
            return self._read_control(first, length)
        if (opcode == Opcode.CONT) != bool(self._opcode):
            raise _violation(
                "a message begins before the previous one has ended"
                if self._opcode
                else "a continuation frame without a message"
            )
        return self._start_data_frame(first, length)

    def _begins_compressed(self, first: int) -> bool:
        """Only the first frame of a message says that it is compressed (RFC 7692, section 6)."""
        return self._inflates and first & (_RESERVED_BITS | 0x0F) in _COMPRESSED_MESSAGES

    def _read_control(self, first: int, length: int) -> ControlFrame | None:
        if not first & FIN:
            raise _violation("a fragmented control frame")
        if length > MAX_CONTROL:
            raise _violation("a control frame of more than 125 bytes")
        start = self._position + _FRAME_HEAD + _MASK
        end = start + length
        if end > len(self._buffer):
            return None
        payload = apply_mask(self._buffer[start:end], self._buffer[start - _MASK : start])
        self._position = end
        opcode = Opcode(first & 0x0F)
        if opcode is Opcode.CLOSE:
            _check_close(payload)
        elif self._opcode:
            self._controls += 1
            if self._controls > MAX_CONTROLS:
                raise ProtocolViolation(CloseCode.POLICY_VIOLATION, "too many control frames within a message")
        return ControlFrame(opcode, payload)

    def _start_data_frame(self, first: int, length: int) -> str | bytes | Fragment | None:
        """Read the head of a data frame, and what has arrived of its payload."""
        start = self._position + _FRAME_HEAD
        if length > MAX_CONTROL:
            width = 2 if length == 126 else 8
            if start + width > len(self._buffer):
                return None
            length = _long_length(self._buffer[start : start + width])
            start += width
        is_compressed = self._inflater is not None or first & COMPRESSED
        if length > self._max_frame or (not is_compressed and len(self._message) + length > self._max_size):
            raise _too_big(self._max_size)
        if start + _MASK > len(self._buffer):
            return None
        self._fragments += 1
        if self._fragments > self._max_fragments:
            raise ProtocolViolation(CloseCode.POLICY_VIOLATION, "too many fragments")
        self._mask = self._buffer[start : start + _MASK]
        self._position = start + _MASK
        self._remaining = length
        self._final = bool(first & FIN)
        self._opcode = self._opcode or first & 0x0F
        if first & COMPRESSED:
            self._inflater = Inflater()
        return self._read_payload()

    def _read_payload(self) -> str | bytes | Fragment | None:
        """Add what has arrived of the frame's payload to the message."""
        end = self._position + self._remaining
        chunk = self._buffer[self._position : end]
        if self._remaining and not chunk:
            return None
        self._position += len(chunk)
        self._remaining -= len(chunk)
        payload = apply_mask(chunk, self._mask)
        if self._remaining and (shift := len(chunk) % _MASK):
            self._mask = self._mask[shift:] + self._mask[:shift]
        return self._add(payload, is_last=self._final and not self._remaining)

    def _add(self, payload: bytes, *, is_last: bool) -> str | bytes | Fragment:
        """Add bytes to the message, and return it when it is complete."""
        is_text = self._opcode == Opcode.TEXT
        if self._inflater is not None:
            payload = self._inflate(self._inflater, payload, is_last=is_last)
        if is_last and not self._message:
            self._opcode = self._fragments = self._controls = 0
            return _decode(payload) if is_text else payload
        if is_text:
            # Only to refuse invalid UTF-8 at its first wrong byte. A list of the decoded pieces would take fifty times
            # the memory of the message if each piece were a character.
            try:
                self._utf8.decode(payload, is_last)
            except UnicodeDecodeError as exc:
                raise _invalid_text(exc) from None
        self._message += payload
        if not is_last:
            return FRAGMENT
        message, self._message = self._message, bytearray()
        self._opcode = self._fragments = self._controls = 0
        return message.decode() if is_text else bytes(message)

    def _inflate(self, inflater: Inflater, payload: bytes, *, is_last: bool) -> bytes:
        if is_last:
            self._inflater = None
        try:
            return inflater.inflate(payload, self._max_size - len(self._message), is_last=is_last)
        except TooLargeError:
            raise _too_big(self._max_size) from None
        except zlib.error:
            raise _violation("compressed data that cannot be inflated") from None


def _long_length(encoded: bytes) -> int:
    length = int.from_bytes(encoded, "big")
    if length <= MAX_CONTROL or (len(encoded) == 8 and length < 0x10000):
        raise _violation("a length that is not in its shortest form")
    if length >> 63:
        raise _violation("a length above 2^63 bytes")
    return length


def _check_close(payload: bytes) -> None:
    """Refuse a close frame's code and reason, section 5.5.1."""
    if not payload:
        return
    if len(payload) == 1:
        raise _violation("a close frame of one byte")
    if not is_close_code(code := int.from_bytes(payload[:2], "big")):
        raise _violation(f"invalid close code {code}")
    try:
        payload[2:].decode()
    except UnicodeDecodeError as exc:
        raise _invalid_text(exc) from None


def _decode(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as exc:
        raise _invalid_text(exc) from None


def _violation(reason: str) -> ProtocolViolation:
    return ProtocolViolation(CloseCode.PROTOCOL_ERROR, reason)


def _too_big(max_size: int) -> ProtocolViolation:
    return ProtocolViolation(CloseCode.MESSAGE_TOO_BIG, f"a message of more than {max_size} bytes")


def _invalid_text(exc: UnicodeDecodeError) -> ProtocolViolation:
    return ProtocolViolation(CloseCode.INVALID_DATA, f"text that is not UTF-8: {exc.reason}")
