"""The access line of a request."""

from __future__ import annotations

from time import perf_counter

from sanic.response import BaseHTTPResponse

from sanicbase.http.request import AnyRequest
from sanicbase.log import log_access

__all__ = ["log_answered"]


def log_answered(request: AnyRequest) -> None:
    """Log a request once, with the response that it was given; nothing while it has none, as a WebSocket."""
    context, stream = request.ctx, request.stream
    response = stream.response if stream is not None else None
    if response is None or context.logged:
        return
    context.logged = True
    log_access(
        _client_ip(request),
        request.method,
        request.path,
        response.status,
        len(response.body) if response.body else _size(response),
        (perf_counter() - context.started) * 1000,
    )


def _size(response: BaseHTTPResponse) -> int | None:
    """The bytes of a response whose body is empty: none, or for a stream an unknown number."""
    return None if "transfer-encoding" in response.headers else 0


def _client_ip(request: AnyRequest) -> str:
    """Sanic's `client_ip`, without its search of the headers where no proxy is configured."""
    config = request.app.config  # whose items take 0.04 µs, and its attributes 2 µs
    if config["PROXIES_COUNT"] or config["REAL_IP_HEADER"] or config["FORWARDED_SECRET"]:
        return request.client_ip
    return request.ip
