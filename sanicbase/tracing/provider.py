"""OpenTelemetry's global provider, through which a service's own spans and other instrumentation reach the recorder.

OpenTelemetry accepts one provider for the whole process, while a process may open one lifespan after another. So the
provider is ours, and passes spans on to that of the open lifespan; without one, they are not recorded.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import NoOpTracerProvider, Span, Tracer, TracerProvider
from opentelemetry.util._decorator import _agnosticcontextmanager

__all__ = ["provide", "tracer_of"]


class _Provider(TracerProvider):
    def __init__(self) -> None:
        self.current: TracerProvider = NoOpTracerProvider()

    def get_tracer(self, *args: Any, **options: Any) -> Tracer:
        return _Tracer(self, args, options)


class _Tracer(Tracer):
    """A tracer of the open lifespan."""

    def __init__(self, provider: _Provider, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._provider = provider
        self._args = args
        self._options = options
        self._source: TracerProvider | None = None
        self._tracer: Tracer

    def _current(self) -> Tracer:
        if self._source is not self._provider.current:
            self._source = self._provider.current
            self._tracer = tracer_of(self._source, *self._args, **self._options)
        return self._tracer

    def start_span(self, *args: Any, **options: Any) -> Span:
        return self._current().start_span(*args, **options)

    @_agnosticcontextmanager  # so that it is a decorator of coroutines as well, as OpenTelemetry's own
    def start_as_current_span(self, *args: Any, **options: Any) -> Iterator[Span]:
        with self._current().start_as_current_span(*args, **options) as span:
            yield span


def provide(provider: TracerProvider | None) -> None:
    """Pass spans on to this provider from now on; with None, they are not recorded."""
    _provider.current = NoOpTracerProvider() if provider is None else provider
    if trace.get_tracer_provider() is not _provider:
        trace.set_tracer_provider(_provider)  # ignored, with a warning in the log, if the service has set its own


def tracer_of(provider: TracerProvider, *args: Any, **options: Any) -> Tracer:
    """A tracer of the provider, whose filter of warnings does not stay: the first filter is that of serialization."""
    with warnings.catch_warnings():
        return provider.get_tracer(*args, **options)


_provider = _Provider()
