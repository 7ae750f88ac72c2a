"""Sanic's request with a typed context, a body that has limits, and an answer for addresses that cannot be read."""

from __future__ import annotations

import os
import re
from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from secrets import randbits
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from sanic.exceptions import BadURL, RequestTimeout, ServiceUnavailable, URITooLong
from sanic.http import Http
from sanic.request import Request as SanicRequest
from sanic.request import RequestParameters

from sanicbase.db.routing import unpin_from_primary
from sanicbase.http.body.content_type import MULTIPART, URL_ENCODED, content_type
from sanicbase.http.body.forms import Fields, Files, read_multipart, read_url_encoded
from sanicbase.http.body.json_items import check_items
from sanicbase.log import set_log_context
from sanicbase.server.context import App

__all__ = ["AnyRequest", "Request", "RequestContext", "ServiceRequest", "next_request_id"]

VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(eq=False, repr=False)
class RequestContext(SimpleNamespace):
    """The `request.ctx` of a request. A service may add attributes of its own, which are not typed."""

    user: object = None
    """The user that `admit` returned; None for an anonymous client, and in a public view."""
    started: float = 0.0
    """The time at which the request was read, of `time.perf_counter`."""
    logged: bool = False
    """Whether its access line was written."""


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
        self._start()

    def _start(self) -> None:
        """Begin the log's context. It is done here so that the lines of the service's own handlers of
        `http.lifecycle.request` have the id as well."""
        header = self.app.config["REQUEST_ID_HEADER"]
        given = self.headers.get(header)
        if given is not None and VALID_ID.fullmatch(given) is None:
            del self.headers[header]
            given = None
        self._id = given or next_request_id()
        self.ctx.started = perf_counter()
        set_log_context(request_id=self._id, user="")
        unpin_from_primary()  # of the previous request on the same connection, which has the same task

    @property
    def id(self) -> str:
        """The request's id: the client's X-Request-ID when it is valid, which Sanic does not check, else a new one."""
        return str(self._id)

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


# A process counts from a number of 127 random bits. Two processes have the same id only if their numbers are closer to
# each other than the requests that they serve: for a billion starts of processes that serve 2**40 requests each, the
# probability is about 2**60 * 2**40 / 2**127, less than one in a hundred million. A fork would count on from its
# parent's number, so it takes a new one. An id is no secret: two of them tell how many requests came in between.
_numbers = count(randbits(127))


def next_request_id() -> str:
    """A new id of 32 hexadecimal digits, which no other request has, of this process or another."""
    return f"{next(_numbers):032x}"


def _start_elsewhere() -> None:
    global _numbers
    _numbers = count(randbits(127))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_elsewhere)
