"""Keys in Redis: short and printable, whatever a service's keys are made of."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import quote

import orjson

__all__ = ["encoded"]

PLAIN = re.compile(r"[A-Za-z0-9._-]*")
LONGEST = 96  # characters; what is longer is known by its digest


def encoded(values: tuple[object, ...]) -> str:
    """The text of a key's values. Equal texts have equal values; none has a `:`, a `*` or a space."""
    text = ",".join([_text(value) for value in values])
    if len(text) <= LONGEST:
        return text
    # Not `text`, which is as long as somebody pleases: 160 bits, of which no two are found alike.
    return "~" + hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def _canonical(value: object) -> object:
    """Equal values alike, however they are written."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    return value


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int):
        return str(value)
    text = value if isinstance(value, str) else orjson.dumps(_canonical(value), default=str).decode()
    if PLAIN.fullmatch(text):
        return text
    return quote(text.encode("utf-8", "surrogatepass"), safe="")
