"""Key values as text: short, printable keys in Redis for values of any type.

Different keys have different texts: a collision would return the entry of another key. The first character of a
value's text says what follows:

| first character | value |
|---|---|
| a digit or `-` | an int |
| a letter or `_` | a str of letters, digits, `.`, `_` and `-` |
| `=` | any other str, percent-encoded |
| `@` | the name of another type, `=`, and a text that is unique among its values |

The values of a key are joined by commas, which no text contains. A key longer than MAX_LENGTH becomes `~` and its
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

__all__ = ["encode_key"]

PLAIN_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")
MAX_LENGTH = 96  # characters
DECIMAL_LIMIT = 10**18  # larger numbers are hexadecimal: Python limits the decimal digits of an int
MICROSECOND = timedelta(microseconds=1)


def encode_key(values: tuple[object, ...]) -> str:
    """The text of a key's values, in ASCII without `:`, `*` and spaces.

    Equal values of one type have the same text, and values of different types never do, such as `1` and `"1"`, or `1`
    and `True`. Values of other types are distinguished by their JSON, or by their `str`.
    """
    text = ",".join([_text(value) for value in values])
    if len(text) <= MAX_LENGTH:
        return text
    # 160 bits: finding a collision is infeasible.
    return "~" + hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def _text(value: object) -> str:
    if type(value) is int:
        return _number(value)
    if type(value) is str:
        return value if PLAIN_TEXT.fullmatch(value) else "=" + _percent_encoded(value)
    kind = type(value)
    if isinstance(value, Enum):
        return f"@{_percent_encoded(kind.__name__)}={_percent_encoded(value.name)}"
    return f"@{_percent_encoded(kind.__name__)}={_percent_encoded(CANONICAL.get(kind, _json)(value))}"


def _percent_encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _number(value: int) -> str:
    return str(value) if -DECIMAL_LIMIT < value < DECIMAL_LIMIT else hex(value)


def _decimal(value: Decimal) -> str:
    """Without trailing zeros, and without rounding."""
    if not value.is_finite():
        return str(value)
    exact = Context(prec=len(value.as_tuple().digits), Emax=MAX_EMAX, Emin=MIN_EMIN)
    return str(value.normalize(exact)) if value else "0"


def _moment(value: datetime) -> str:
    """One text for a moment in all time zones; a datetime without a zone has its own text."""
    if (offset := value.utcoffset()) is None:
        return value.isoformat()
    # Not `astimezone`, which fails in the first year and the last.
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
