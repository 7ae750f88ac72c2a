"""The trace that a request belongs to, and the span of the request if the trace is recorded.

Whether it is recorded is decided before anything is created. The decision of a caller counts if it is a trusted proxy,
or in TRACING_PEERS; anybody else could have all of its requests recorded, so the ratio decides for them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from random import random
from typing import TYPE_CHECKING, Any

from sanic.exceptions import ServerError
from sanic.http import Http, Stage
from sanic.request import Request as SanicRequest

from sanicbase.edge.forwarded import TrustedProxies
from sanicbase.edge.head import METHODS
from sanicbase.edge.sockets import peer_address
from sanicbase.http.access_log import log_answered
from sanicbase.http.app import ServiceApp
from sanicbase.http.hosts import HEALTH
from sanicbase.http.request import AnyRequest, ServiceRequest
from sanicbase.http.request_metrics import route_template
from sanicbase.http.streams import stage_of
from sanicbase.log import set_log_context
from sanicbase.tracing import Traceparent, current_recorder, parse_traceparent, parse_tracestate, sampled_recorder
from sanicbase.tracing.traceparent import new_span_id, new_trace_id

if TYPE_CHECKING:
    from sanicbase.tracing.recorder import Recorder

__all__ = ["RequestTracing", "TracedApp", "TracedRequest", "end_request_span", "trace_headers"]

TRACE_ID = re.compile(r"[0-9a-f]{32}")
CANCELLED = "cancelled"
UNREADABLE = "NONE"  # Sanic's method of what is no request
MAX_PORT = 65535
OTHER = "_OTHER"  # the method of a request with an unknown one, by the conventions of OpenTelemetry
FIRST_ERROR = 500


def trace_headers() -> dict[str, str]:
    """The headers with which a request to another service continues the trace of the current request or job.

        await http.get(url, headers=trace_headers())

    They are `traceparent` and `tracestate`. In a trace that is not recorded, the traceparent has a new parent id at
    each call, and the tracestate is unchanged; if the client sent no trace, the request's id becomes the trace id.
    Outside a request, each call starts a trace.
    """
    recorder = sampled_recorder()
    if recorder is not None:
        return recorder.headers()
    traceparent, state = _unsampled_trace()
    headers = {"traceparent": str(traceparent)}
    return headers | {"tracestate": state} if state else headers


class RequestTracing:
    """Decides which requests of an app are recorded, in the process that serves it, and starts their spans."""

    def __init__(self, peers: list[str]) -> None:
        self._peers = TrustedProxies(peers) if peers else None
        self._recorder: Recorder | None = None
        self.ratio = 0.0
        self.enter_unsampled: Callable[[], object] = _do_nothing
        """Lets the current task belong to the trace of the request, which is not recorded."""

    def use(self, recorder: Recorder | None) -> None:
        """Record by this one from now on; with None, nothing is recorded."""
        self._recorder = recorder
        self.ratio = 0.0 if recorder is None else recorder.ratio
        self.enter_unsampled = _do_nothing if recorder is None else recorder.unsampled(_unsampled_trace)

    def start(self, request: AnyRequest, received: Traceparent | None) -> bool:
        """Start the span of a request that was selected. Returns whether it has one: health checks have none."""
        recorder = self._recorder
        if recorder is None or not isinstance(request, TracedRequest) or request.path in HEALTH:
            return False
        state = "" if received is None else parse_tracestate(request.headers)
        request.span = recorder.start(_method(request), "server", parent=received, state=state)
        trace_id, span_id = recorder.ids()
        set_log_context(trace_id=trace_id, span_id=span_id)
        return True

    def selects(self, request: AnyRequest, received: Traceparent | None) -> bool:
        """Whether a request is recorded: its caller says so, if it may, otherwise the ratio."""
        if received is not None:
            deciders, peer = (request.app.ctx.trusted_proxies, self._peers), peer_address(request.transport)
            if any(proxies is not None and proxies.trusts(peer) for proxies in deciders):
                return received.is_sampled
        return random() < self.ratio  # noqa: S311  (no secret)


def _do_nothing() -> None:
    """Outside of a lifespan, nothing is recorded."""


class TracedRequest(ServiceRequest):
    """The request class of an app that traces."""

    span: Any = None
    """The span of a request whose trace is recorded, until it ends."""
    error: BaseException | None = None
    """The error that it is answered with, if it has a span."""


class TracedApp(ServiceApp):
    """An app that traces. What a request costs that is not sampled is bounded by a test."""

    __slots__ = ("request_tracing",)

    def __init__(self, name: str, *, tracing_peers: list[str], **options: Any) -> None:
        super().__init__(name, **options)
        self.request_tracing = RequestTracing(tracing_peers)

    def handle_request(self, request: AnyRequest) -> Awaitable[None]:  # type: ignore[override]  # see ServiceApp
        """Called by Sanic for every request that could be parsed."""
        tracing = self.request_tracing
        if "traceparent" in request.headers:
            received = parse_traceparent(request.headers)
            is_recorded = tracing.selects(request, received) and tracing.start(request, received)
        else:
            is_recorded = random() < tracing.ratio and tracing.start(request, None)  # noqa: S311  (no secret)
        if not is_recorded:
            tracing.enter_unsampled()
        return super().handle_request(request)

    async def handle_exception(
        self, request: AnyRequest, exception: BaseException, run_middleware: bool = True
    ) -> None:
        """Called by Sanic for every error, including those of requests that could not be parsed."""
        recorder, tracing = current_recorder(), self.request_tracing
        if request.method == UNREADABLE and tracing.selects(request, None):
            tracing.start(request, None)
        if isinstance(request, TracedRequest) and request.span is not None and recorder is not None:
            request.error = exception
            if stage_of(request) not in (None, Stage.HANDLER):  # the response that began breaks
                recorder.fail(request.span, exception)
        await super().handle_exception(request, exception, run_middleware)

    def _log(self, request: AnyRequest) -> None:
        if self._logs_access:
            log_answered(request)
        if request.span is not None:  # type: ignore[attr-defined]  # of a TracedRequest
            end_request_span(request, _status(request))


def end_request_span(request: AnyRequest, status: int | None) -> None:
    """End the span of a request, if it has one: its response was sent with this status, or there was none."""
    recorder = current_recorder()
    if not isinstance(request, TracedRequest) or request.span is None or recorder is None:
        return
    span, error = request.span, request.error
    request.span = request.error = None
    span.set_attributes(_attributes(request, status))
    if request.route is not None:
        span.update_name(f"{_method(request)} {route_template(request.route.path)}")
    if status is None or status >= FIRST_ERROR:
        recorder.fail(span, error or str(status or CANCELLED))
    span.end()
    recorder.leave()


def _status(request: AnyRequest) -> int | None:
    """The status of the response; None if there was none."""
    stream = request.stream
    response = stream.response if stream is not None else None
    if response is not None:
        return int(response.status)
    is_websocket = isinstance(stream, Http) and stream.upgrade_websocket
    has_failed = isinstance(request, TracedRequest) and request.error is not None
    return HTTPStatus.SWITCHING_PROTOCOLS if is_websocket and not has_failed else None


def _method(request: AnyRequest) -> str:
    """The method in the name of a span."""
    return request.method if request.method in METHODS else "HTTP"


def _attributes(request: AnyRequest, status: int | None) -> dict[str, str | int]:
    """What the conventions of OpenTelemetry say about a request, without its query, which may contain secrets.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/
    """
    is_known = request.method in METHODS
    attributes: dict[str, str | int] = {
        "http.request.method": request.method if is_known else OTHER,
        "url.scheme": request.scheme,
        "url.path": request.path,
        "client.address": request.client_ip,
        "network.protocol.version": request.version,
    }
    if not is_known:
        attributes["http.request.method_original"] = request.method
    if request.route is not None:
        attributes["http.route"] = route_template(request.route.path)
    if status is not None:
        attributes["http.response.status_code"] = status
    if name := request.server_name:
        attributes["server.address"] = name
        if (port := request.server_port) <= MAX_PORT:
            attributes["server.port"] = port
    if agent := request.headers.get("user-agent"):
        attributes["user_agent.original"] = agent
    return {name: _encodable(value) if isinstance(value, str) else value for name, value in attributes.items()}


def _encodable(text: str) -> str:
    """The text without lone surrogates, which a client can send: a batch of spans that has one cannot be encoded."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _unsampled_trace() -> tuple[Traceparent, str]:
    """The trace of the current request, which is not recorded, with a new parent id, and its tracestate."""
    request = _current_request()
    if request is None:
        return Traceparent(new_trace_id(), new_span_id(), is_sampled=False), ""
    received = parse_traceparent(request.headers)
    if received is None:
        return Traceparent(_trace_id(str(request.id)), new_span_id(), is_sampled=False), ""
    is_sampled = received.is_sampled and current_recorder() is None  # then a caller records, and we only pass it on
    return Traceparent(received.trace_id, new_span_id(), is_sampled=is_sampled), parse_tracestate(request.headers)


def _current_request() -> SanicRequest[Any, Any] | None:
    try:
        return SanicRequest.get_current()
    except ServerError:
        return None


def _trace_id(request_id: str) -> str:
    """The trace id for a request id: the same for all calls of the request."""
    if TRACE_ID.fullmatch(request_id) and request_id.strip("0"):
        return request_id
    return hashlib.sha256(request_id.encode()).hexdigest()[:32]
