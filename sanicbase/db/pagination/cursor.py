"""Cursors: a position in a list, as text that goes to a client and comes back."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from hashlib import blake2b

from sanicbase.errors import InvalidQuery

__all__ = ["MAX_LENGTH", "MAX_PAYLOAD", "InvalidCursor", "decode_cursor", "encode_cursor"]

MAX_PAYLOAD = 3600  # bytes; as text a cursor must leave room for the other headers in Sanic's 8 KB
DIGEST_SIZE = 6
MAX_LENGTH = (MAX_PAYLOAD + DIGEST_SIZE + 2) * 4 // 3


class InvalidCursor(InvalidQuery):
    """A cursor that was not given out for this list in this order. HTTP answers 400."""

    def __init__(self) -> None:
        super().__init__(
            "This cursor does not belong to this list in this order. Take it from an answer, or begin without one.",
            path="cursor",
            code="invalid_cursor",
        )


def encode_cursor(payload: bytes, scope: str) -> str:
    """The payload as text that is safe in a URL, for the list that `scope` names."""
    return urlsafe_b64encode(_digest(payload, scope) + payload).rstrip(b"=").decode()


def decode_cursor(text: str, scope: str) -> bytes:
    """The payload of a cursor that was made for this scope. Raises InvalidCursor.

    The digest has no key. It detects mistakes (a part that was lost, a cursor of another list) and is not a secret:
    whoever may list may begin at any position. What the payload says is checked by whoever reads it.
    """
    if len(text) > MAX_LENGTH or not text.isascii():
        raise InvalidCursor
    try:
        content = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as exc:
        raise InvalidCursor from exc
    payload = content[DIGEST_SIZE:]
    # The comparison of texts is the stricter one: several texts of base64 stand for the same bytes.
    if encode_cursor(payload, scope) != text:
        raise InvalidCursor
    return payload


def _digest(payload: bytes, scope: str) -> bytes:
    return blake2b(scope.encode() + b"\0" + payload, digest_size=DIGEST_SIZE).digest()
