"""Cursors: a position in a list as text for clients."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from hashlib import blake2b

from sanicbase.errors import InvalidQuery

__all__ = ["MAX_LENGTH", "MAX_PAYLOAD", "InvalidCursor", "decode_cursor", "encode_cursor"]

MAX_PAYLOAD = 3600  # bytes; its text must leave room for other headers in Sanic's 8 KB
DIGEST_SIZE = 6
MAX_LENGTH = (MAX_PAYLOAD + DIGEST_SIZE + 2) * 4 // 3


class InvalidCursor(InvalidQuery):
    """The cursor is not one of this list in this order. HTTP answers 400."""

    def __init__(self) -> None:
        super().__init__(
            "The cursor does not belong to this list in this order. Use one from a response, or start without one.",
            path="cursor",
            code="invalid_cursor",
        )


def encode_cursor(payload: bytes, scope: str) -> str:
    """The payload as text that is safe in a URL, for the list that `scope` names."""
    return urlsafe_b64encode(_digest(payload, scope) + payload).rstrip(b"=").decode()


def decode_cursor(text: str, scope: str) -> bytes:
    """The payload of a cursor of this scope. Raises InvalidCursor.

    The digest has no key. It detects errors, such as a truncated cursor or one of another list, and is no protection:
    clients may start at any position. The reader validates the payload.
    """
    if len(text) > MAX_LENGTH or not text.isascii():
        raise InvalidCursor
    try:
        content = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as exc:
        raise InvalidCursor from exc
    payload = content[DIGEST_SIZE:]
    # Compares the texts, since several base64 texts decode to the same bytes.
    if encode_cursor(payload, scope) != text:
        raise InvalidCursor
    return payload


def _digest(payload: bytes, scope: str) -> bytes:
    return blake2b(scope.encode() + b"\0" + payload, digest_size=DIGEST_SIZE).digest()
