"""Sanic's request, which can be made even of what is none."""

from __future__ import annotations

from typing import Any

from sanic.exceptions import BadURL
from sanic.request import Request

__all__ = ["AnyRequest"]


class AnyRequest(Request):
    """A request whose error can be answered although its address cannot be read.

    To answer it, Sanic makes a request of no method with the same address, fails again, and closes the connection
    without a word to the client and with a traceback in the log.
    """

    def __init__(self, url_bytes: bytes, headers: Any, version: str, method: str, *args: Any, **options: Any) -> None:
        try:
            super().__init__(url_bytes, headers, version, method, *args, **options)
        except BadURL:
            if method != "NONE":
                raise
            super().__init__(b"*", headers, version, method, *args, **options)
