"""Keys in Redis: short and printable, whatever a service's keys are made of.

Two keys have one text only when they are the same: a collision would answer one of them by the other's entry. The first
character of a value's text says what follows:

| it begins with | it is |
|---|---|
| a digit or `-` | an int |
| a letter or `_` | a text of letters, digits, `.`, `_` and `-` |
| `=` | any other text, percent-encoded |
| `@` | the name of another type, `=`, and what tells its values apart |

The values of a key are joined by commas, which none of these has. A key that is longer than LONGEST is `~` and its
digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from enum import Enum
from urllib.parse import quote

import orjson

__all__ = ["encoded"]

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")
LONGEST = 96  # characters
DECIMAL = 10**18  # smaller numbers are written in tens; Python refuses to do that with very large ones
MICROSECOND = timedelta(microseconds=1)


def encoded(values: tuple[object, ...]) -> str:
    """The text of a key's values, of ASCII without `:`, `*` and spaces.

    Values of one type that are equal have the same text. Values of different types never have, `1` and `"1"` or `1` and
    `True` included. Other types than the usual ones are told apart by their JSON, or by their `str`.
    """
    text = ",".join([_text(value) for value in values])
    if len(text) <= LONGEST:
        return text
    # Not `text`, which is as long as somebody pleases: 160 bits, and nobody finds two keys that share them.
    return "~" + hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def _text(value: object) -> str:
    if type(value) is int:
        return _number(value)
    if type(value) is str:
        return value if PLAIN.fullmatch(value) else "=" + _quoted(value)
    kind = type(value)
    if isinstance(value, Enum):
        return f"@{_quoted(kind.__name__)}={_quoted(value.name)}"
    return f"@{_quoted(kind.__name__)}={_quoted(CANONICAL.get(kind, _json)(value))}"


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _number(value: int) -> str:
    return str(value) if -DECIMAL < value < DECIMAL else hex(value)


def _decimal(value: Decimal) -> str:
    """Without zeros at the end, and without rounding."""
    if not value.is_finite():
        return str(value)
    exact = Context(prec=len(value.as_tuple().digits), Emax=MAX_EMAX, Emin=MIN_EMIN)
    return str(value.normalize(exact)) if value else "0"


def _moment(value: datetime) -> str:
    """A moment is the same in each time zone. One without a zone is not a moment, and has a text of its own."""
    if (offset := value.utcoffset()) is None:
        return value.isoformat()
    # Not `astimezone`, which fails next to the first year and the last.
    seconds = ((value.toordinal() * 24 + value.hour) * 60 + value.minute) * 60 + value.second
    return f"{seconds * 1_000_000 + value.microsecond - offset // MICROSECOND}us"


def _json(value: object) -> str:
    return orjson.dumps(value, default=str).decode()


CANONICAL: dict[type, Callable[..., str]] = {
    bool: str,
    type(None): str,
    float: lambda value: repr(value + 0.0),  # -0.0 is 0.0
    Decimal: _decimal,
    datetime: _moment,
    date: date.isoformat,
}
