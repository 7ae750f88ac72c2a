"""The head of a response, in one piece."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from sanic.helpers import STATUS_CODES
from sanic.request import Request
from sanic.response import BaseHTTPResponse

__all__ = ["WITHOUT_BODY", "DefaultHeaders", "ResponseHook", "add_vary", "response_head", "whole_response"]

ResponseHook = Callable[[Request[Any, Any], BaseHTTPResponse], None]
"""Called with every response before its head is sent: those of handlers, middleware and errors, and the beginning of
streams. It may change the headers, and the body if there is one already. It must not fail."""


class DefaultHeaders(Protocol):
    """Headers that are added to every response that lacks them."""

    def lines(self, request: Request[Any, Any], response: BaseHTTPResponse) -> bytes:
        """The lines that the response lacks, each with its line break."""

    def add(self, request: Request[Any, Any], response: BaseHTTPResponse) -> None:
        """Add those that the response lacks to its headers, for connections that write only the response's own
        headers."""


UNSAFE = re.compile(r"[\r\n\0]")
MAX_BEGINNINGS = 256
WITHOUT_BODY = frozenset((*range(100, 200), 204, 304))  # RFC 9110, 6.4.1
PHRASES = {421: b"Misdirected Request", **STATUS_CODES}  # Sanic knows no 421
_beginnings: dict[tuple[int, str | None, bool], bytes] = {}


def whole_response(response: BaseHTTPResponse, body: bytes, *, keep_alive: bool, lines: bytes = b"") -> bytes:
    """The bytes of a complete response. Its status must be one that allows a body.

    `lines` are headers in addition to its own.
    """
    headers = response.headers
    if headers:
        headers["content-length"] = str(len(body))
        return response_head(response, keep_alive=keep_alive, lines=lines) + body
    key = (response.status, response.content_type, keep_alive)
    beginning = _beginnings.get(key)
    if beginning is None:
        beginning = _beginning(*key)
        if len(_beginnings) < MAX_BEGINNINGS:
            _beginnings[key] = beginning
    return b"%bcontent-length: %d\r\n%b\r\n%b" % (beginning, len(body), lines, body)


def response_head(response: BaseHTTPResponse, *, keep_alive: bool, lines: bytes = b"") -> bytes:
    """The bytes of a response's head: its headers, the content type, the header Connection, and `lines`."""
    headers = response.headers
    headers["connection"] = "keep-alive" if keep_alive else "close"
    if response.content_type is not None and response.status not in WITHOUT_BODY:
        headers.setdefault("content-type", response.content_type)
    own = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if own.count("\n") != len(headers) or own.count("\r") != len(headers) or "\0" in own:
        own = "".join([f"{UNSAFE.sub('', name)}: {UNSAFE.sub('', str(value))}\r\n" for name, value in headers.items()])
    return b"%b%b%b\r\n" % (_status_line(response.status), own.encode(errors="surrogateescape"), lines)


def add_vary(response: BaseHTTPResponse, name: str) -> None:
    """Add that request header to Vary, if it is not there yet."""
    headers = response.headers
    names = [item.strip() for line in headers.popall("vary", ()) for item in line.split(",") if item.strip()]
    if "*" not in names and name.lower() not in map(str.lower, names):
        names.append(name)
    headers["vary"] = ", ".join(names)


def _beginning(status: int, content_type: str | None, keep_alive: bool) -> bytes:
    response = BaseHTTPResponse()
    response.status, response.content_type = status, content_type
    return response_head(response, keep_alive=keep_alive)[:-2]


def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, PHRASES.get(status, b"UNKNOWN"))
