"""Sanic's request with a typed context, a body that has limits, and an answer for addresses that cannot be read."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sanic.exceptions import BadURL, RequestTimeout, ServiceUnavailable, URITooLong
from sanic.http import Http
from sanic.request import Request as SanicRequest
from sanic.request import RequestParameters

from sanicbase.http.body.content_type import MULTIPART, URL_ENCODED, content_type
from sanicbase.http.body.forms import Fields, Files, read_multipart, read_url_encoded
from sanicbase.http.body.json_items import check_items
from sanicbase.server.context import App

__all__ = ["AnyRequest", "Request", "RequestContext", "ServiceRequest"]


@dataclass(eq=False, repr=False)
class RequestContext(SimpleNamespace):
    """The `request.ctx` of a request. A service may add attributes of its own, which are not typed."""

    user: object = None
    """The user that `admit` returned; None for an anonymous client, and in a public view."""
    started: float | None = None
    """The time at which the request was read, of `time.perf_counter`; None for one that could not be read."""


Request = SanicRequest[App, RequestContext]
"""Sanic's request with typed `app.ctx` and `ctx`."""
AnyRequest = SanicRequest[Any, Any]
"""The request of a hook that services override, and annotate as Sanic's `Request` or as sanicbase's."""


class ServiceRequest(SanicRequest[App, RequestContext]):
    """The request that a service's app makes.

    Its `json`, `form` and `files`, for plain handlers, are read within JSON_MAX_ITEMS and the FORM_MAX settings.
    """

    # To answer an address that it cannot read, Sanic makes a request without a method from the same address, fails
    # again, and closes the connection with a traceback in the log. And Sanic finds no path in `http://host`, so reading
    # `request.path` raises; the path is "/" (RFC 9110, 4.2.3).

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

    @staticmethod
    def make_context() -> RequestContext:
        """Called by Sanic when the context is read for the first time."""
        return RequestContext()

    async def receive_body(self) -> None:
        """Called by Sanic before a handler. A client that does not send its body in time is answered 408 (RFC 9110,
        15.5.9). Sanic would blame the handler, which has not started, and answer 503."""
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
        """Parse the body as a form. Raises InvalidParameters, UnreadableBody.

        Sanic's own parser takes quadratic time, and only logs what is wrong with a form."""
        kind, parameters = content_type(self)
        fields: Fields = {}
        files: Files = {}
        if kind == URL_ENCODED:
            fields = read_url_encoded(self.body, self.app.ctx.config)
        elif kind == MULTIPART:
            fields, files = read_multipart(self.body, parameters.get("boundary", "").encode(), self.app.ctx.config)
        if kind == URL_ENCODED and not keep_blank_values:
            fields = {name: given for name, values in fields.items() if (given := [value for value in values if value])}
        self.parsed_form, self.parsed_files = RequestParameters(fields), RequestParameters(files)
        return self.parsed_form
