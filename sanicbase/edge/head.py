"""The head of a request, strictly by the grammar of RFC 9112 and RFC 9110.

What two programs could read differently is refused, because one of them may be a proxy that decides which requests
pass. RFC 9112 (2.2 and 3) lets recipients repair some malformed requests. Nothing is repaired here, except that an
empty line before a request is skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, NoReturn

from multidict import istr
from sanic.compat import Header

from sanicbase.edge.errors import RefusedRequest

__all__ = ["Fields", "RequestLine", "check_trailers", "parse_head"]

MAX_FIELDS = 100
MAX_NAMES = 512  # of headers that are kept
MAX_LENGTH_DIGITS = 18  # digits of Content-Length; no disk is larger
KEPT_LINES = 1024  # request lines whose parts are kept
MAX_KEPT_LINE = 256  # bytes of a request line that is kept

NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # RFC 9110, 5.6.2
FIELD = rf"{NAME}:[\t\x20-\x7e\x80-\U0010ffff]*+\r\n"  # RFC 9112, 5; without folded lines (5.2)
# The quantifiers are possessive, so matching never backtracks.
REQUEST_LINE = re.compile(rf"({NAME}) ([\x21-\x7e]++) HTTP/(\d)\.(\d)", re.ASCII)
FIELDS = re.compile(rf"(?:{FIELD})*+")
# A registered name or an address, and a port (RFC 9110, 7.2; RFC 3986, 3.2.2). Underscores are common in private names.
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\]|[\w.~!$&'()*+,;=%-]*)(?::\d{0,5})?", re.ASCII)
# The methods of IANA's registry and the common PURGE, without CONNECT, which is for proxies.
METHODS = frozenset((
    "ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "DELETE", "GET", "HEAD", "LABEL",
    "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "OPTIONS",
    "ORDERPATCH", "PATCH", "POST", "PROPFIND", "PROPPATCH", "PURGE", "PUT", "QUERY", "REBIND", "REPORT", "SEARCH",
    "TRACE", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
))  # fmt: skip
# Fields that this module interprets, and those of them that must have one value (RFC 9110, 5.3).
NOTED = frozenset(("host", "content-length", "transfer-encoding", "connection", "expect", "upgrade"))
SINGLE = frozenset(("host", "content-length", "transfer-encoding", "expect"))
SCHEME = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)


@dataclass(slots=True)
class Fields:
    """The header lines of a request, and how they say that the request is framed."""

    block: bytes
    """The lines as they were received, without the last line break."""
    version: str
    """That of the request, by whose rules they were parsed: `1.1` or `1.0`."""
    headers: Header
    """With names in lower case, in the order of the request."""
    host: str | None
    length: int | None
    """The bytes of the body; None when it is chunked."""
    keep_alive: bool
    expects_continue: bool
    upgrade: str
    """The protocol of the header Upgrade, in lower case; empty without one."""
    is_repeated: bool
    """Whether a name is among them more than once."""


class RequestLine(NamedTuple):
    """The first line of a request."""

    method: str
    target: str
    url: bytes
    """The target as it was received."""
    version: str
    """`1.1` or `1.0`."""
    authority: str | None
    """The host of a target that is an absolute URL."""


def parse_head(head: bytes, last: Fields | None = None) -> tuple[RequestLine, Fields]:
    """Parse a head, without the line break of its last line. Raises RefusedRequest.

    `last` are the fields of the connection's last request. Most clients send the same ones each time, so they need not
    be parsed again.
    """
    first, _, block = head.partition(b"\r\n")
    line = _kept_line(first) if len(first) <= MAX_KEPT_LINE else _read_line(first)
    fields = last
    if fields is None or fields.block != block or fields.version != line.version:
        fields = _read_fields(block, line.version)
    if line.authority is not None:
        _check_authority(line.authority, fields.host)
    return line, fields


def _read_line(line: bytes) -> RequestLine:
    match = REQUEST_LINE.fullmatch(line.decode(errors="surrogateescape"))
    if match is None:
        _refuse_line(line)
    method, target, major, minor = match.groups()
    if major != "1" or minor not in "01":
        raise RefusedRequest("Only HTTP/1.1 and HTTP/1.0 are supported.", 505)
    if method not in METHODS:
        raise RefusedRequest("The method is not supported.", 501)
    return RequestLine(method, target, target.encode(), "1.1" if minor == "1" else "1.0", _authority(method, target))


# Clients of all connections ask for the same addresses; routers keep what belongs to an address as well.
_kept_line = lru_cache(KEPT_LINES)(_read_line)


def _read_fields(block: bytes, version: str) -> Fields:
    text = f"{block.decode(errors='surrogateescape')}\r\n" if block else ""
    if FIELDS.fullmatch(text) is None:
        _refuse_fields(block)
    headers: list[tuple[str, str]] = []
    noted: dict[str, str] = {}
    is_latest = version == "1.1"
    for line in text.split("\r\n")[:-1]:
        sent, _, value = line.partition(":")
        name, value = _name(sent), value.strip(" \t")
        headers.append((name, value))
        if name in NOTED:
            if name not in noted:
                noted[name] = value
            elif name in SINGLE:
                raise RefusedRequest(f"The header {name} is repeated.")
            else:
                noted[name] += f", {value}"
    if len(headers) > MAX_FIELDS:
        raise RefusedRequest(f"The request has more than {MAX_FIELDS} headers.", 431)
    host = noted.get("host")
    _check_host(host, is_latest)
    length = _length(noted, is_latest)
    options = [option.strip(" \t").lower() for option in noted.get("connection", "").split(",")]
    keep_alive = "close" not in options and (is_latest or "keep-alive" in options)
    upgrade = noted.get("upgrade", "").lower() if is_latest and "upgrade" in options else ""
    expects = _expects(noted, is_latest)
    is_repeated = len({name for name, _ in headers}) < len(headers)
    return Fields(block, version, Header(headers), host, length, keep_alive, expects, upgrade, is_repeated)


@lru_cache(maxsize=MAX_NAMES)
def _name(sent: str) -> istr:
    """The name of a header in lower case. Connections share the common ones, which multidict need not lower again."""
    return istr(sent.lower())


def check_trailers(block: bytes) -> None:
    """Check the trailers of a chunked body, which are then ignored (RFC 9112, 7.1.2). Raises RefusedRequest.

    They must not contain fields that determine the framing or the routing of a request (RFC 9110, 6.5.1).
    """
    text = block.decode(errors="surrogateescape")
    if FIELDS.fullmatch(text) is None:
        raise RefusedRequest("A trailer is malformed.")
    if any(line.partition(":")[0].lower() in NOTED for line in text.split("\r\n")):
        raise RefusedRequest("A trailer has the name of a header that is not allowed there.")


def _check_host(host: str | None, is_latest: bool) -> None:
    """RFC 9112, 3.2: exactly one Host."""
    if host is None:
        if is_latest:
            raise RefusedRequest("The header Host is missing.")
    elif HOST.fullmatch(host) is None:
        raise RefusedRequest("The header Host is malformed.")


def _authority(method: str, target: str) -> str | None:
    """The host of an absolute URL, as clients of proxies send it; None for the forms of a target that have no host.

    RFC 9112, 3.2: the form must be valid for the method.
    """
    if "#" in target:
        raise RefusedRequest("The URL must not have a fragment.")
    if target[0] == "/" or (target == "*" and method == "OPTIONS"):
        return None
    absolute = SCHEME.match(target)
    if absolute is None or not absolute[1] or HOST.fullmatch(absolute[1]) is None:
        raise RefusedRequest("The URL must be a path or an absolute URL with a host.")
    return absolute[1]


def _check_authority(authority: str, host: str | None) -> None:
    """An absolute URL must have the host of the header Host (RFC 9112, 3.2.2)."""
    if host is not None and authority.lower() != host.lower():
        raise RefusedRequest("The URL and the header Host name different hosts.")


def _length(noted: dict[str, str], is_latest: bool) -> int | None:
    """The length of the body by RFC 9112, 6.3; None for a chunked one."""
    coding, length = noted.get("transfer-encoding"), noted.get("content-length")
    if coding is not None:
        if length is not None:
            raise RefusedRequest("The request has both Content-Length and Transfer-Encoding.")
        if not is_latest:
            raise RefusedRequest("HTTP/1.0 does not support Transfer-Encoding.")
        if coding.lower() != "chunked":
            codings = [name.strip(" \t").lower() for name in coding.split(",")]
            final_only = codings[-1] == "chunked" and "chunked" not in codings[:-1]
            raise RefusedRequest(
                "The only supported Transfer-Encoding is chunked.", 501 if final_only and all(codings) else 400
            )
        return None
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit() and len(length) <= MAX_LENGTH_DIGITS):
        raise RefusedRequest("The Content-Length is not a valid number.")
    return int(length)


def _expects(noted: dict[str, str], is_latest: bool) -> bool:
    """Whether the client waits for a 100 before it sends the body (RFC 9110, 10.1.1)."""
    expectation = noted.get("expect")
    if expectation is None:
        return False
    if expectation.lower() != "100-continue":
        raise RefusedRequest("The only supported expectation is 100-continue.", 417)
    return is_latest


def _refuse_line(line: bytes) -> NoReturn:
    """Name the part that does not match the grammar."""
    if re.fullmatch(rb"[!-~]+ [!-~]+ HTTP/\d\.\d", line) is not None:
        raise RefusedRequest("The method contains an invalid character.")
    if re.search(rb"[^\x20-\x7e]", line):
        raise RefusedRequest("The request line contains a character that is not printable ASCII.")
    raise RefusedRequest("The request line is not `method URL HTTP/1.1`.")


def _refuse_fields(block: bytes) -> NoReturn:
    """Name the part that does not match the grammar."""
    for field in block.split(b"\r\n"):
        if field[:1] in (b" ", b"\t"):
            raise RefusedRequest("A header is folded over several lines.")
        name, colon, _ = field.partition(b":")
        if field and (not colon or re.fullmatch(NAME.encode(), name) is None):
            raise RefusedRequest("The name of a header is malformed.")
    raise RefusedRequest("A header contains a control character.")
