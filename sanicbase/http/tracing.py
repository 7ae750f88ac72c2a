"""The trace that a request belongs to (W3C Trace Context, https://www.w3.org/TR/trace-context/).

sanicbase records no spans. It adds the trace id to the log, and passes the trace on to other services.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any, NamedTuple

from sanic.exceptions import ServerError
from sanic.request import Request as SanicRequest

__all__ = ["Traceparent", "parse_traceparent", "trace_headers"]

TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
TRACE_ID = re.compile(r"[0-9a-f]{32}")
FIRST_VERSION, INVALID_VERSION = "00", "ff"
SAMPLED = 0x01
TRACESTATE = re.compile(r"[\t\x20-\x7e]{1,512}")  # 3.3.1.5: vendors should propagate at least 512 characters


class Traceparent(NamedTuple):
    """The header traceparent of a request."""

    trace_id: str
    parent_id: str
    is_sampled: bool


def parse_traceparent(headers: Any) -> Traceparent | None:
    """The request's traceparent; None if there is none, or an invalid one, which is ignored (3.2.2.5).

    Of versions later than 00, only the fields of 00 are read (3.2.4).
    """
    values = headers.getall("traceparent", ())
    match = TRACEPARENT.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        return None
    version, trace_id, parent_id, flags, rest = match.groups()
    if version == INVALID_VERSION or (version == FIRST_VERSION and rest is not None):
        return None
    if not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return Traceparent(trace_id, parent_id, bool(int(flags, 16) & SAMPLED))


def trace_headers() -> dict[str, str]:
    """The headers with which a request to another service continues the trace of the current request.

        await http.get(url, headers=trace_headers())

    They are `traceparent`, with a new parent id at each call, and `tracestate`, unchanged. If the client sent no trace,
    the request's id becomes the trace id; outside a request, each call starts a trace.
    """
    request = _current_request()
    if request is None:
        return {"traceparent": _traceparent(secrets.token_hex(16), is_sampled=False)}
    received = parse_traceparent(request.headers)
    if received is None:
        return {"traceparent": _traceparent(_trace_id(str(request.id)), is_sampled=False)}
    headers = {"traceparent": _traceparent(received.trace_id, is_sampled=received.is_sampled)}
    state = ", ".join(request.headers.getall("tracestate", ()))
    if TRACESTATE.fullmatch(state):
        headers["tracestate"] = state
    return headers


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


def _traceparent(trace_id: str, *, is_sampled: bool) -> str:
    parent_id = f"{secrets.randbits(64) or 1:016x}"
    return f"{FIRST_VERSION}-{trace_id}-{parent_id}-{SAMPLED * is_sampled:02x}"
