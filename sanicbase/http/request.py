"""Sanic's request, which can be made of any address."""

from __future__ import annotations

from typing import Any

from sanic.exceptions import BadURL, URITooLong
from sanic.request import Request

__all__ = ["AnyRequest"]


class AnyRequest(Request):
    """A request whose error can be answered although its address cannot be read.

    To answer it, Sanic makes a request of no method with the same address, fails again, and closes the connection
    without a word to the client and with a traceback in the log.

    The path of `http://host` is "/" (RFC 9110, 4.2.3). Sanic has none there, so reading `request.path` raises.
    """

    def __init__(self, url_bytes: bytes, headers: Any, version: str, method: str, *args: Any, **options: Any) -> None:
        try:
            super().__init__(url_bytes, headers, version, method, *args, **options)
        except (BadURL, URITooLong):
            if method != "NONE":
                raise
            super().__init__(b"*", headers, version, method, *args, **options)
        if not self._parsed_url.path:
            authority, mark, query = self.raw_url.partition(b"?")
            super().__init__(authority + b"/" + mark + query, headers, version, method, *args, **options)
