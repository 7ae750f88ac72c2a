"""Traces of a service, recorded by OpenTelemetry and sent to a collector (OTLP).

The layers above record what they do as spans, if the current task belongs to a sampled trace: `sampled_recorder`
returns the recorder then, and None otherwise. OpenTelemetry is imported only in a process that traces.
"""

from sanicbase.tracing.options import TracingOptions
from sanicbase.tracing.state import check_tracing, current_recorder, open_tracing, sampled_recorder
from sanicbase.tracing.traceparent import Traceparent, parse_traceparent, parse_tracestate

__all__ = [
    "Traceparent",
    "TracingOptions",
    "check_tracing",
    "current_recorder",
    "open_tracing",
    "parse_traceparent",
    "parse_tracestate",
    "sampled_recorder",
]
