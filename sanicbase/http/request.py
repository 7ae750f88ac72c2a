"""Sanic's request, which can be made of any address, and whose body has limits."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

from sanic.exceptions import BadURL, RequestTimeout, ServiceUnavailable, URITooLong
from sanic.http import Http
from sanic.request import Request, RequestParameters

from sanicbase.http.content_type import MULTIPART, URL_ENCODED, content_type
from sanicbase.http.forms import Fields, Files, read_multipart, read_url_encoded
from sanicbase.http.json_items import check_items

__all__ = ["AnyRequest"]


class AnyRequest(Request):
    """A request whose error can be answered although its address cannot be read.

    To answer it, Sanic makes a request of no method with the same address, fails again, and closes the connection
    without a word to the client and with a traceback in the log.

    The path of `http://host` is "/" (RFC 9110, 4.2.3). Sanic has none there, so reading `request.path` raises.

    Its `json`, `form` and `files`, for plain handlers, are read within JSON_MAX_ITEMS and the FORM_MAX settings.
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

    def load_json(self, loads: Callable[[bytes], Any] | None = None) -> Any:
        """Parse the body as JSON. Raises InvalidParameters when it has too many items, BadRequest when it is none."""
        check_items(self.body, self.app.ctx.config.JSON_MAX_ITEMS)
        return super().load_json(loads)

    def get_form(self, keep_blank_values: bool = False) -> RequestParameters:
        """Parse the body as a form. Raises InvalidParameters, UnreadableBody; Sanic's own,
        which takes quadratic time, logs what is wrong and goes on without a form."""
        kind, parameters = content_type(self)
        fields: Fields = {}
        files: Files = {}
        if kind == URL_ENCODED:
            fields = read_url_encoded(self.body, self.app.ctx.config)
        elif kind == MULTIPART:
            fields, files = read_multipart(self.body, parameters.get("boundary", "").encode(), self.app.ctx.config)
        if kind == URL_ENCODED and not keep_blank_values:
            fields = {name: found for name, many in fields.items() if (found := [each for each in many if each])}
        self.parsed_form, self.parsed_files = RequestParameters(fields), RequestParameters(files)
        return self.parsed_form
