"""Sanic's request with a typed context, limits for the body, and a response to URLs that cannot be parsed."""

from __future__ import annotations

import os
import re
from asyncio import CancelledError, TimerHandle
from collections.abc import Callable, Sequence
from itertools import count
from secrets import randbits
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from sanic.asgi import ASGIApp
from sanic.compat import Header
from sanic.exceptions import BadURL, PayloadTooLarge, RequestTimeout, ServiceUnavailable, URITooLong
from sanic.http import Http
from sanic.request import Request as SanicRequest
from sanic.request import RequestParameters

from sanicbase.db.routing import start_scope
from sanicbase.edge.forwarded import TrustedProxies
from sanicbase.edge.http import EdgeHttp
from sanicbase.edge.sockets import peer_address
from sanicbase.http.body.content_type import MULTIPART, URL_ENCODED, check_content_encoding, content_type
from sanicbase.http.body.forms import Fields, Files, read_multipart, read_url_encoded
from sanicbase.http.body.json_items import check_items
from sanicbase.log import start_log_context
from sanicbase.server.context import App
from sanicbase.tracing import parse_traceparent

__all__ = ["AnyRequest", "Request", "RequestContext", "ServiceRequest", "next_request_id", "receive_whole_body"]

VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContext(SimpleNamespace):
    """The `request.ctx` of a request. A service may add attributes of its own, which are not typed."""

    user: object = None
    """The user that `admit` returned; None for an anonymous client, and in a public view."""
    started: float = 0.0
    """When the request was read, by `time.perf_counter`."""
    logged: bool = False
    """Whether its access line has been written."""
    counted: bool = False
    """Whether the metrics have it."""
    deadline: float = 0.0
    """When it is cancelled, by `time.perf_counter`; 0 without a deadline."""
    deadline_timer: TimerHandle | None = None
    """The timer that cancels it then."""
    response_headers: Header | None = None
    """The headers of a successful response, besides those that its data needs; see `response_headers`."""
    rate_limits: tuple[Any, ...] = ()
    """Its rate limits, each with the state of its window."""


Request = SanicRequest[App, RequestContext]
"""Sanic's request with typed `app.ctx` and `ctx`."""
AnyRequest = SanicRequest[Any, Any]
"""The request of a hook that services override: they may annotate it as Sanic's `Request` or sanicbase's."""


class ServiceRequest(SanicRequest[App, RequestContext]):
    """The request class of a service's app.

    Its `json`, `form` and `files`, for plain handlers, are read within JSON_MAX_ITEMS and the FORM_MAX settings.
    """

    # To answer an address that it cannot read, Sanic makes a request without a method from the same address, fails
    # again, and closes the connection with a traceback in the log. And Sanic finds no path in `http://host`, so reading
    # `request.path` raises; the path is "/" (RFC 9110, 4.2.3).

    __slots__ = ("__dict__", "ctx", "id")  # attributes take less time than Sanic's properties

    ctx: RequestContext
    id: str
    """The X-Request-ID of a trusted proxy if it is valid, otherwise a new one."""

    def __init__(
        self,
        url_bytes: bytes,
        headers: Any,
        version: str,
        method: str,
        transport: Any,
        app: App,
        head: bytes = b"",
        stream_id: int = 0,
    ) -> None:
        try:
            SanicRequest.__init__(self, url_bytes, headers, version, method, transport, app, head, stream_id)
        except (BadURL, URITooLong):
            if method != "NONE":
                raise
            super().__init__(b"*", headers, version, method, transport, app, head, stream_id)
        if not self._parsed_url.path:
            authority, mark, query = self.raw_url.partition(b"?")
            url_bytes = authority + b"/" + mark + query
            super().__init__(url_bytes, headers, version, method, transport, app, head, stream_id)
        # The log context starts here so that log lines of the service's own handlers of `http.lifecycle.request` have
        # the id as well.
        proxies = app.ctx.trusted_proxies
        self.id = request_id = (proxies is not None and self._id_of_proxy(proxies)) or next_request_id()
        self.ctx = context = RequestContext()
        context.started = perf_counter()
        trace = parse_traceparent(self.headers) if "traceparent" in self.headers else None
        start_log_context(request_id, "" if trace is None else trace.trace_id)
        start_scope()  # of the previous request on the same connection, which has the same task

    def _id_of_proxy(self, proxies: TrustedProxies) -> str:
        """The X-Request-ID of a trusted proxy; empty if there is none, or one with characters that are not allowed."""
        sent: Sequence[str] = self.headers.getall(self.app.config["REQUEST_ID_HEADER"], ())
        is_valid = len(sent) == 1 and VALID_ID.fullmatch(sent[0]) is not None
        return str(sent[0]) if is_valid and proxies.trusts(peer_address(self.transport)) else ""

    @property
    def forwarded(self) -> dict[str, Any]:
        """What trusted proxies report: the client's address, the scheme and the host, as `for`, `proto` and `host`.

        Sanic's `remote_addr`, `scheme`, `host` and `url` use it."""
        if self.parsed_forwarded is None:
            proxies = self.app.ctx.trusted_proxies
            peer = "" if proxies is None else peer_address(self.transport)
            self.parsed_forwarded = {} if proxies is None else dict(proxies.read(peer, self.headers))
        return self.parsed_forwarded

    @property
    def client_ip(self) -> str:
        """The client's address: the one that trusted proxies have seen, otherwise that of the connection."""
        if self.app.ctx.trusted_proxies is None:
            return self.ip
        return self.forwarded.get("for") or self.ip

    async def receive_body(self) -> None:
        """Called by Sanic before a handler. A client that does not send its body in time gets a 408 (RFC 9110, 15.5.9).
        Sanic would respond with 503, although the handler has not started."""
        if isinstance(self.stream, EdgeHttp) and (body := self.stream.take_body()) is not None:
            self.body = body
            return
        stream: object = self.stream
        if isinstance(stream, ASGIApp):
            self.body = await _read_asgi(stream, self.app.ctx.config.REQUEST_MAX_SIZE)
            return
        try:
            await super().receive_body()  # type: ignore[no-untyped-call]  # Sanic annotates nothing here
        except CancelledError:
            if isinstance(self.stream, Http) and isinstance(self.stream.exception, ServiceUnavailable):
                self.stream.exception = RequestTimeout("The body did not arrive in time.")
            raise

    def load_json(self, loads: Callable[[bytes], Any] | None = None) -> Any:
        """Parse the body as JSON. Raises InvalidParameters if it has too many items, BadRequest if it is not JSON, and
        UnsupportedContentType if it is compressed."""
        check_content_encoding(self)
        check_items(self.body, self.app.ctx.config.JSON_MAX_ITEMS)
        return super().load_json(loads)

    def get_form(self, keep_blank_values: bool = False) -> RequestParameters:
        """Parse the body as a form. Raises InvalidParameters and UnreadableBody.

        Sanic's own parser takes quadratic time, and only logs the errors of a form."""
        check_content_encoding(self)
        kind, parameters = content_type(self)
        fields: Fields = {}
        files: Files = {}
        if kind == URL_ENCODED:
            fields = read_url_encoded(self.body, self.app.ctx.config)
        elif kind == MULTIPART:
            fields, files = read_multipart(self.body, parameters.get("boundary", "").encode(), self.app.ctx.config)
        if kind == URL_ENCODED and not keep_blank_values:
            fields = {
                name: filled for name, values in fields.items() if (filled := [value for value in values if value])
            }
        self.parsed_form, self.parsed_files = RequestParameters(fields), RequestParameters(files)
        return self.parsed_form


async def _read_asgi(stream: ASGIApp, max_size: int) -> bytes:
    """Read a body, which Sanic does not limit there. Raises PayloadTooLarge."""
    body = bytearray()
    async for data in stream:
        body += data
        if len(body) > max_size:
            raise PayloadTooLarge("The request is too large.")
    return bytes(body)


async def receive_whole_body(request: Request) -> None:
    """Receive a body within REQUEST_MAX_SIZE that Sanic has left to the handler. Raises PayloadTooLarge."""
    stream = request.stream
    if isinstance(stream, Http) and stream.request_body:
        stream.request_max_size = stream.protocol.request_max_size
        await request.receive_body()


# A process counts from a number of 127 random bits. Two processes generate the same id only if their numbers differ by
# less than the number of requests that they serve: for a billion processes that serve 2**40 requests each, the
# probability is about 2**60 * 2**40 / 2**127, less than one in a hundred million. A forked process would continue its
# parent's numbers, so it takes a new one. Ids are not secret: two of them reveal how many requests came in between.
_numbers = count(randbits(127))


def next_request_id() -> str:
    """A new id of 32 hexadecimal digits, unique among the requests of all processes."""
    return next(_numbers).to_bytes(16).hex()


def _start_elsewhere() -> None:
    global _numbers
    _numbers = count(randbits(127))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_elsewhere)
