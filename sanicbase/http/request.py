"""Sanic's request, which can be made of any address."""

from __future__ import annotations

from asyncio import CancelledError
from typing import Any

from sanic.exceptions import BadURL, RequestTimeout, ServiceUnavailable, URITooLong
from sanic.http import Http
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

    async def receive_body(self) -> None:
        """Called by Sanic before a handler. A client that does not send its body in time is answered 408 (RFC 9110,
        15.5.9); Sanic takes the handler, which has not begun, for slow, and answers 503."""
        try:
            await super().receive_body()  # type: ignore[no-untyped-call]  # Sanic annotates nothing here
        except CancelledError:
            if isinstance(self.stream, Http) and isinstance(self.stream.exception, ServiceUnavailable):
                self.stream.exception = RequestTimeout("The body did not arrive in time.")
            raise
