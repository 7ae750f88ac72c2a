"""The headers traceparent and tracestate (W3C Trace Context, https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import re
import secrets
from typing import Any, NamedTuple

__all__ = ["Traceparent", "new_span_id", "new_trace_id", "parse_traceparent", "parse_tracestate"]

TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
FIRST_VERSION, INVALID_VERSION = "00", "ff"
SAMPLED = 0x01
TRACESTATE = re.compile(r"[\t\x20-\x7e]{1,512}")  # 3.3.1.5: vendors should propagate at least 512 characters


class Traceparent(NamedTuple):
    """A span of a trace, as the header traceparent names it."""

    trace_id: str
    parent_id: str
    is_sampled: bool

    @classmethod
    def parse(cls, text: str) -> Traceparent | None:
        """The value of a header; None if it is invalid.

        Of versions later than 00, only the fields of 00 are read (3.2.4).
        """
        match = TRACEPARENT.fullmatch(text)
        if match is None:
            return None
        version, trace_id, parent_id, flags, rest = match.groups()
        if version == INVALID_VERSION or (version == FIRST_VERSION and rest is not None):
            return None
        if not trace_id.strip("0") or not parent_id.strip("0"):
            return None
        return cls(trace_id, parent_id, bool(int(flags, 16) & SAMPLED))

    def __str__(self) -> str:
        return f"{FIRST_VERSION}-{self.trace_id}-{self.parent_id}-{SAMPLED * self.is_sampled:02x}"


def parse_traceparent(headers: Any) -> Traceparent | None:
    """The traceparent of a request; None if there is none, several, or an invalid one, which is ignored (3.2.2.5)."""
    values = headers.getall("traceparent", ())
    return Traceparent.parse(values[0]) if len(values) == 1 else None


def parse_tracestate(headers: Any) -> str:
    """The tracestate of a request with a valid traceparent; empty if there is none, or one that is not passed on."""
    state = ", ".join(headers.getall("tracestate", ()))
    return state if TRACESTATE.fullmatch(state) else ""


def new_trace_id() -> str:
    """A random trace id."""
    return f"{secrets.randbits(128) or 1:032x}"


def new_span_id() -> str:
    """A random id of a span."""
    return f"{secrets.randbits(64) or 1:016x}"
