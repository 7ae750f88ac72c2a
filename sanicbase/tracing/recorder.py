"""The recorder: spans of OpenTelemetry, and which of them are recorded.

A trace is sampled or not when it begins: by the decision of the caller, or by the ratio. Only in a sampled trace are
spans created. In any other, the context has a constant in place of a span, so that OpenTelemetry's own instrumentation
and the service's spans are not recorded either, and continue the trace.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from random import random
from typing import Any, Literal

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider, sampling
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from sanicbase.tracing.export import Export
from sanicbase.tracing.options import TracingOptions
from sanicbase.tracing.provider import provide, tracer_of
from sanicbase.tracing.traceparent import SAMPLED, Traceparent, new_span_id, new_trace_id

__all__ = ["Attributes", "Kind", "Recorder"]

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool]

KINDS = {kind.name.lower(): kind for kind in SpanKind}
MAX_ATTRIBUTE = 1024  # characters of a value
SAMPLED_ROOT = "sanicbase-sampled-root"  # in the context of a root whose sampling was decided before
NOTHING = Context()


class Recorder:
    """Records the spans of this process. Its exporter's thread belongs to the process that has created it."""

    def __init__(self, options: TracingOptions) -> None:
        self.ratio = options.ratio
        self._export = Export(options.endpoint)
        provider = TracerProvider(
            sampler=sampling.ParentBased(_RootSampler(options.ratio)),
            resource=Resource.create(
                {
                    "service.name": options.service,
                    "deployment.environment.name": options.environment,
                    "process.pid": os.getpid(),
                }
            ),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attribute_length=MAX_ATTRIBUTE),
        )
        provider.add_span_processor(self._export.processor)
        self._provider = provider
        self._tracer = tracer_of(provider, "sanicbase")
        provide(provider)

    async def close(self) -> None:
        """Send what was recorded, for a bounded time."""
        provide(None)
        await self._export.close()

    def is_sampled(self) -> bool:
        """Whether the current task belongs to a trace that is recorded."""
        span = get_current_span()
        return type(span) is not _Unsampled and span.get_span_context().trace_flags.sampled

    def start(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes | None = None,
        *,
        parent: Traceparent | None = None,
        state: str = "",
    ) -> Span:
        """Start a span of a new trace, or the child of a span of another process, and make it the current one. It is
        recorded, whatever the parent says. The caller ends it, and then calls `leave`."""
        context = Context({SAMPLED_ROOT: True}) if parent is None else _remote(parent._replace(is_sampled=True), state)
        span = self._tracer.start_span(name, context, KINDS[kind], attributes)
        attach(set_span_in_context(span, NOTHING))
        return span

    @staticmethod
    def fail(span: Span, error: BaseException | str) -> None:
        """Mark a span as failed, by the class of the error, or by a status or a code."""
        span.set_attribute("error.type", error if isinstance(error, str) else _class_name(type(error)))
        span.set_status(Status(StatusCode.ERROR))

    def leave(self) -> None:
        """The current task belongs to no trace from now on."""
        attach(NOTHING)

    def unsampled(self, describe: Callable[[], tuple[Traceparent, str]]) -> Callable[[], object]:
        """A function that lets the current task belong to a trace that is not recorded. `describe` names the trace,
        with its tracestate, when somebody asks for it."""
        context = set_span_in_context(_Unsampled(describe), NOTHING)
        return partial(attach, context)

    def begin(self, name: str, kind: Kind, attributes: Attributes | None = None) -> Span:
        """Start a child of the current span, which the caller ends. It does not become the current one."""
        return self._tracer.start_span(name, None, KINDS[kind], attributes)

    @contextmanager
    def span(
        self, name: str, kind: Kind, attributes: Attributes | None = None, *, parent: Span | None = None
    ) -> Iterator[Span]:
        """Record the block as a child of the current span, or of `parent`. An exception is recorded by its class, never
        by its text, which may contain values."""
        context = None if parent is None else set_span_in_context(parent, NOTHING)
        span = self._tracer.start_span(name, context, KINDS[kind], attributes)
        with _current(span):
            yield span

    @contextmanager
    def root(
        self, name: str, kind: Kind, attributes: Attributes | None = None, *, parent: str = "", link: str = ""
    ) -> Iterator[Span | None]:
        """Record the block as the beginning of a trace or, with `parent`, as a part of the trace that `carried` has
        named in another process. The block gets None if the trace is not sampled. `link` names a related span."""
        carried = _parse(parent)
        is_sampled = random() < self.ratio if carried is None else carried[0].is_sampled  # noqa: S311  (no secret)
        if carried is not None:
            context = _remote(*carried)
        elif is_sampled:
            context = Context({SAMPLED_ROOT: True})
        else:
            context = _remote(Traceparent(new_trace_id(), new_span_id(), is_sampled=False), "")
        if not is_sampled:
            token = attach(context)
            try:
                yield None
            finally:
                detach(token)
            return
        related = _parse(link)
        links: Sequence[Link] = [Link(_span_context(*related))] if related is not None else ()
        span = self._tracer.start_span(name, context, KINDS[kind], attributes, links)
        with _current(span, NOTHING):
            yield span

    def carried(self) -> str:
        """The current span as text, for `root` in another process; empty outside a trace."""
        context = get_current_span().get_span_context()
        if not context.is_valid:
            return ""
        state = context.trace_state.to_header()
        text = str(_traceparent(context))
        return f"{text} {state}" if state else text

    def headers(self) -> dict[str, str]:
        """The headers by which another service continues the trace; none outside a trace."""
        traceparent, _, state = self.carried().partition(" ")
        headers = {"traceparent": traceparent} if traceparent else {}
        return headers | {"tracestate": state} if state else headers

    def ids(self) -> tuple[str, str]:
        """The ids of the current trace and span."""
        context = get_current_span().get_span_context()
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def _class_name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


@contextmanager
def _current(span: Span, context: Context | None = None) -> Iterator[None]:
    """Make the span the current one inside the block, and end it."""
    token = attach(set_span_in_context(span, context))
    try:
        yield
    except BaseException as exc:
        Recorder.fail(span, exc)
        raise
    finally:
        detach(token)
        span.end()


class _Unsampled(NonRecordingSpan):
    """In place of a span, in a trace that is not recorded. What it belongs to is looked up when it is asked for."""

    def __init__(self, describe: Callable[[], tuple[Traceparent, str]]) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self._describe = describe

    def get_span_context(self) -> SpanContext:
        return _span_context(*self._describe())


class _RootSampler(sampling.TraceIdRatioBased):
    """Samples roots by the ratio, except those whose sampling was decided before they were created."""

    def should_sample(self, parent_context: Context | None, *args: Any, **options: Any) -> sampling.SamplingResult:
        if parent_context is not None and SAMPLED_ROOT in parent_context:
            return sampling.ALWAYS_ON.should_sample(parent_context, *args, **options)
        return super().should_sample(parent_context, *args, **options)


def _parse(carried: str) -> tuple[Traceparent, str] | None:
    text, _, state = carried.partition(" ")
    parsed = Traceparent.parse(text)
    return None if parsed is None else (parsed, state)


def _remote(parent: Traceparent, state: str) -> Context:
    return set_span_in_context(NonRecordingSpan(_span_context(parent, state)), NOTHING)


def _span_context(parent: Traceparent, state: str) -> SpanContext:
    return SpanContext(
        int(parent.trace_id, 16),
        int(parent.parent_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(SAMPLED * parent.is_sampled),
        trace_state=TraceState.from_header([state]) if state else None,
    )


def _traceparent(context: SpanContext) -> Traceparent:
    return Traceparent(f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled)
