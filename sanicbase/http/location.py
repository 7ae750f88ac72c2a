"""The header Location: a URI reference, whatever characters it was written with."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit

from sanicbase.errors import SanicBaseError

__all__ = ["as_uri"]

CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
KEPT = "%!#$&'()*+,/:;=?@[]~"  # what a URI reference may have besides letters and digits (RFC 3986, 2.2 and 2.3)
STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})")  # a per cent sign that begins no escape


def as_uri(text: str) -> str:
    """The text as a URI reference: the host as IDNA has it, the rest percent-encoded, and what is encoded as it is.

    Raises SanicBaseError for control characters, which would end the header, and for what is no reference at all.
    """
    if CONTROLS.search(text):
        raise SanicBaseError(f"A Location has no control characters: {text!r}. Quote what a client sent.")
    try:
        parts = urlsplit(text)
        authority = _authority(parts) if parts.netloc else ""
    except ValueError as exc:  # UnicodeError of the host included
        raise SanicBaseError(f"The Location {text!r} is no URL: {exc}.") from exc
    rest = STRAY.sub("%25", parts._replace(netloc=authority).geturl())
    return quote(rest, safe=KEPT, errors="strict")


def _authority(parts: SplitResult) -> str:
    """The authority with its host in ASCII. Names of hosts are not percent-encoded: browsers would not find them."""
    user, at, address = parts.netloc.rpartition("@")
    if address.isascii():
        return parts.netloc
    host, colon, port = address.partition(":")
    return f"{user}{at}{host.encode('idna').decode()}{colon}{port}"
