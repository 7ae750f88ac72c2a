"""The access line of a request."""

from __future__ import annotations

from time import perf_counter

from sanic.response import BaseHTTPResponse

from sanicbase.http.request import AnyRequest
from sanicbase.log import log_access

__all__ = ["log_answered"]


def log_answered(request: AnyRequest) -> None:
    """Log a request once, with its response. Nothing is logged without a response, such as for a WebSocket."""
    context, stream = request.ctx, request.stream
    if stream is None or context.logged or (response := stream.response) is None:
        return
    context.logged = True
    body = response.body
    log_access(
        request.ip if request.app.ctx.trusted_proxies is None else request.client_ip,
        request.method,
        request.path,
        response.status,
        len(body) if body else _size(request, response),
        (perf_counter() - context.started) * 1000,
    )


def _size(request: AnyRequest, response: BaseHTTPResponse) -> int | None:
    """The size of a response whose body is empty: 0, or the length of a stream, which may be unknown."""
    if "transfer-encoding" in response.headers:
        return None
    return 0 if request.method == "HEAD" else int(response.headers.get("content-length", 0))
