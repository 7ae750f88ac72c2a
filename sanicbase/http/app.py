"""The app of a service: the path of a request through Sanic, with the steps that sanicbase adds.

Sanic takes about 25 µs to find and call the handlers of a signal, so this class calls sanicbase's own directly.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Awaitable
from inspect import isawaitable
from math import inf
from types import CoroutineType
from typing import Any

from sanic import Sanic
from sanic.config import Config as SanicConfig
from sanic.exceptions import ServerError
from sanic.http import Stage
from sanic.log import error_logger
from sanic.response import BaseHTTPResponse, HTTPResponse, ResponseStream
from sanic.signals import Signal

from sanicbase.edge.http import EdgeHttp
from sanicbase.edge.load import LimitedProtocol
from sanicbase.edge.metered import MeteredLimitedProtocol, MeteredProtocol
from sanicbase.edge.protocol import EdgeProtocol
from sanicbase.edge.sanic_protocol import SanicProtocol
from sanicbase.http.access_log import log_answered
from sanicbase.http.cors import CrossOriginRules
from sanicbase.http.guards import check_headers, has_guards, run_guards
from sanicbase.http.hosts import AllowedHosts
from sanicbase.http.other_servers import complete_response, complete_responses, has_other_server
from sanicbase.http.request import AnyRequest
from sanicbase.http.routes import name_allowed_methods
from sanicbase.http.serialization import raise_warnings
from sanicbase.http.streams import StreamBroken, break_stream, cut_cancelled_stream, stage_of
from sanicbase.server.context import ServiceContext

__all__ = ["ServiceApp"]

ROUTED = "http.routing.after"  # sent when the route is known and the body has not been read
ROUTING = "http.routing."


class ServiceApp(Sanic[SanicConfig, ServiceContext]):
    """A Sanic app with guards, an access line for each request, and streams that break when their handler fails."""

    __slots__ = (
        "_completes_responses",
        "_cross_origin",
        "_guards",
        "_handles_events",
        "_has_edge",
        "_has_guards",
        "_hosts",
        "_logs_access",
    )

    def __init__(self, name: str, *, logs_access: bool, has_edge: bool, **options: Any) -> None:
        """Create the app. `logs_access` says whether each request with a response has a line in `access.log`,
        `has_edge` whether connections are those of `sanicbase.edge` instead of Sanic's. `options` are those of
        Sanic."""
        super().__init__(name, **options)
        self._logs_access = logs_access
        self._has_edge = has_edge
        self._cross_origin: CrossOriginRules | None = None
        self._hosts: AllowedHosts | None = None
        self._handles_events = True
        self._has_guards = self._completes_responses = False
        self._guards: Signal | None = None  # where nothing else handles the signals of routing

    def install_rules(self, *, hosts: AllowedHosts | None, cross_origin: CrossOriginRules | None) -> None:
        """Serve only these hosts, and allow cross-origin requests by these rules."""
        self._hosts, self._cross_origin = hosts, cross_origin
        if cross_origin is not None:
            self.ctx.response_hooks.append(cross_origin.add_headers)

    def handle_request(self, request: AnyRequest) -> Awaitable[None]:  # type: ignore[override]  # Sanic awaits it
        """Called by Sanic for every request that could be parsed."""
        stream = request.stream if isinstance(request.stream, EdgeHttp) else None
        fields = None if stream is None else stream.fields
        if fields is None or fields.is_repeated:
            check_headers(request)
        if self._hosts is not None:
            self._hosts.check(request)
        rules = self._cross_origin
        if rules is not None and (response := rules.answer_preflight(request)) is not None:
            return self._logged(request, _send_directly(request, response))
        if stream is not None and fields is not None and not self._handles_events:
            return self._handle_directly(request, stream, fields.host)
        return self._logged(request, super().handle_request(request))

    async def _logged(self, request: AnyRequest, handled: Awaitable[None]) -> None:
        try:
            await handled
        except CancelledError as exc:
            self._end_cancelled(request, exc)
            raise
        self._log(request)

    async def _handle_directly(self, request: AnyRequest, stream: EdgeHttp, host: str | None) -> None:
        """Handle a request as Sanic does without signal handlers, but without looking up each signal."""
        run_middleware = True
        try:
            try:
                route, handler, path = self.router.get(request.path, request.method, host)
                if hasattr(handler, "is_websocket"):
                    await super().handle_request(request)
                    self._log(request)
                    return
                request._match_info, request.route = path, route  # noqa: SLF001
                for guard in getattr(route.ctx, "guards", ()):
                    await guard(request)
                extra = route.extra
                if stream.request_body and not (extra.ignore_body or _takes_body(request, handler, stream)):
                    await request.receive_body()
                run_middleware = False
                response = extra.request_middleware and await self._run_request_middleware(  # type: ignore[no-untyped-call]
                    request, extra.request_middleware
                )
                if not response:
                    response = handler(request, **path)
                    if type(response) is CoroutineType or isawaitable(response):
                        response = await response
                if not extra.response_middleware and _sends_whole(request, stream, response):
                    request.responded = True
                else:
                    await _send(request, response)
            except Exception as exc:
                await self.handle_exception(request, exc, run_middleware=run_middleware)
        except CancelledError as exc:
            self._end_cancelled(request, exc)
            raise
        self._log(request)

    def _end_cancelled(self, request: AnyRequest, exc: CancelledError) -> None:
        if stage_of(request) is not Stage.HANDLER:  # otherwise Sanic calls handle_exception next
            if not isinstance(exc, StreamBroken):
                cut_cancelled_stream(request, exc)
            self._log(request)

    async def handle_exception(
        self, request: AnyRequest, exception: BaseException, run_middleware: bool = True
    ) -> None:
        """Called by Sanic for every error, including those of requests that could not be parsed."""
        try:
            if stage_of(request) in (None, Stage.HANDLER):
                name_allowed_methods(self, request, exception)
                await super().handle_exception(request, exception, run_middleware)
            else:
                await self._notify(request, exception)
                break_stream(request, exception)
        finally:
            self._log(request)

    def signalize(self, allow_fail_builtin: bool = True) -> None:
        """Called by Sanic when all routes and handlers are registered."""
        if not self._has_guards and has_guards(self):
            self._has_guards = True
            self.signal(ROUTED)(run_guards)
        raise_warnings()
        if not self._completes_responses and has_other_server(self):
            self._completes_responses = True
            complete_responses(self)
        super().signalize(allow_fail_builtin)
        events = [signal for signal in self.signal_router.routes if signal.ctx.definition.startswith("http.")]
        self._handles_events = len(events) > self._has_guards  # the guards are called directly
        handled = [signal for signal in self.signal_router.routes if signal.ctx.definition.startswith(ROUTING)]
        self._guards = handled[0] if self._has_guards and len(handled) == 1 else None

    def dispatch(self, event: Any, **options: Any) -> Awaitable[Any]:  # type: ignore[override]  # it has two kinds
        """Called by Sanic for every signal that has handlers. If only the guards handle it, they are called
        directly."""
        if event == ROUTED and self._guards is not None and not self._guards.ctx.waiters:
            return run_guards(**options["context"])
        return super().dispatch(event, **options)

    def prepare(self, *args: Any, protocol: type[asyncio.Protocol] | None = None, **options: Any) -> None:
        """Called by both launchers before Sanic's server is created."""
        if protocol is None and self.ctx.metrics_address is not None:
            protocol = MeteredProtocol if self.ctx.load_limiter is None else MeteredLimitedProtocol
        elif protocol is None and self.ctx.load_limiter is not None:
            protocol = LimitedProtocol
        elif protocol is None:
            protocol = EdgeProtocol if self._has_edge else SanicProtocol
        super().prepare(*args, protocol=protocol, **options)

    async def _notify(self, request: AnyRequest, exception: BaseException) -> None:
        """Send the signals of an error, as Sanic does for the errors that it handles."""
        if not getattr(exception, "__dispatched__", False):
            await self.dispatch("server.exception.report", context={"exception": exception})
        context = {"request": request, "exception": exception}
        await self.dispatch("http.lifecycle.exception", context=context, inline=True, fail_not_found=False)

    def _log(self, request: AnyRequest) -> None:
        if self._logs_access:
            log_answered(request)


def _takes_body(request: AnyRequest, handler: object, stream: EdgeHttp) -> bool:
    """Whether nothing is left to receive before the handler is called."""
    if hasattr(handler, "is_stream"):
        stream.request_max_size = inf
        return True
    body = stream.take_body()
    if body is not None:
        request.body = body
    return body is not None


def _sends_whole(request: AnyRequest, stream: EdgeHttp, response: object) -> bool:
    return not request.responded and isinstance(response, BaseHTTPResponse) and stream.send_whole(response)


async def _send_directly(request: AnyRequest, response: HTTPResponse) -> None:
    """Send a response without running the middleware, which may authenticate."""
    assert request.stream is not None  # noqa: S101  (the request was just read from it)
    request.responded = True
    request.stream.respond(response)
    complete_response(request, response)
    await response.send(end_stream=True)


async def _send(request: AnyRequest, response: Any) -> None:
    """Send what a handler or middleware returned, or finish what it began to send, as Sanic does."""
    if request.responded:
        if response is not None:
            error_logger.error(
                "The response object returned by the route handler will not be sent to client. The request has already "
                "been responded to."
            )
        response = request.stream.response if request.stream is not None else None
    elif response is not None:
        response = await request.respond(response)
    else:
        response = request.stream.response if request.stream is not None else None
    if isinstance(response, BaseHTTPResponse):
        await response.send(end_stream=True)
    elif isinstance(response, ResponseStream):
        await response(request)
        await response.eof()
    else:
        raise ServerError(f"Invalid response type {response!r} (need HTTPResponse)")
