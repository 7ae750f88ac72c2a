"""Requests by route, method and status, their durations and sizes.

They are counted by a response hook, so before the first byte of the response is sent: however a worker ends, no request
is answered that was not counted. Without metrics, the hook is called on demand only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

from sanic.http import Http
from sanic.response import BaseHTTPResponse

from sanicbase.edge.head import METHODS
from sanicbase.http.request import AnyRequest
from sanicbase.metrics import Counter, Histogram
from sanicbase.metrics.instruments import OTHER, SIZES
from sanicbase.metrics.slow import SLOW, report_slow

__all__ = ["RequestMetrics", "route_template"]

REQUESTS = Counter(
    "sanicbase_http_requests_total", "Requests that were answered, by route.", ["route", "method", "status"]
)
DURATION = Histogram(
    "sanicbase_http_request_seconds",
    "From the time at which a request was read until its response began.",
    ["route", "method"],
)
REQUEST_SIZE = Histogram(
    "sanicbase_http_request_bytes", "The bytes of the bodies of requests.", ["route"], bounds=SIZES
)
RESPONSE_SIZE = Histogram(
    "sanicbase_http_response_bytes",
    "The bytes of the bodies of responses whose length is known.",
    ["route"],
    bounds=SIZES,
)

NO_ROUTE = "(none)"
PARAMETER = re.compile(r"<(\w+)(?::[^>]*)?>")


class _Series(NamedTuple):
    """What counts the requests of a route, a method and a status."""

    requests: Callable[[], None]
    duration: Callable[[float], None]
    request_size: Callable[[float], None]
    response_size: Callable[[float], None]


class RequestMetrics:
    """Counts the requests of an app, in the process that serves it."""

    def __init__(self) -> None:
        self._series: dict[tuple[str | None, str, int], _Series] = {}  # by the paths of routes, so it is bounded

    def count(self, request: AnyRequest, response: BaseHTTPResponse) -> None:
        """Count a request, once. A response hook."""
        context = request.ctx
        if context.counted:
            return
        context.counted = True
        route, method, stream = request.route, request.method, request.stream
        key = (None if route is None else route.path, method, response.status)
        series = self._series.get(key) or self._add(*key)
        series.requests()
        seconds = perf_counter() - context.started
        series.duration(seconds)
        if seconds >= SLOW:
            report_slow("request", seconds, f"{method} {response.status}", request.path, str(request.id))
        if isinstance(stream, Http):
            series.request_size(stream.request_bytes or 0)
        body = response.body
        if body:
            series.response_size(len(body))
        elif "transfer-encoding" not in response.headers:
            series.response_size(int(response.headers.get("content-length", 0)))

    def _add(self, path: str | None, method: str, status: int) -> _Series:
        if method not in METHODS:
            return self._series.get((path, OTHER, status)) or self._add_known(path, OTHER, status)
        return self._add_known(path, method, status)

    def _add_known(self, path: str | None, method: str, status: int) -> _Series:
        route = NO_ROUTE if path is None else route_template(path)
        series = self._series[path, method, status] = _Series(
            REQUESTS.bind(route, method, str(status)),
            DURATION.bind(route, method),
            REQUEST_SIZE.bind(route),
            RESPONSE_SIZE.bind(route),
        )
        return series


def route_template(path: str) -> str:
    """The path of a route with the names of its parameters: `/articles/{id}`."""
    return "/" + PARAMETER.sub(r"{\1}", path)
