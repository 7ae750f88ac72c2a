"""OpenTelemetry's global provider: a service's own spans reach the recorder of the open lifespan."""

from __future__ import annotations

from opentelemetry import trace

from sanicbase.tracing import TracingOptions, current_recorder, open_tracing
from tests.tracing.collector import Collector, collecting

early = trace.get_tracer("early")  # before any lifespan


@early.start_as_current_span("decorated")
async def decorated() -> str:
    recorder = current_recorder()
    return "" if recorder is None else recorder.ids()[1]


def options(collector: Collector, *, ratio: float = 1.0) -> TracingOptions:
    return TracingOptions(f"{collector.url}/v1/traces", ratio, "shop", "test")


async def test_a_decorated_coroutine_is_a_span() -> None:
    with collecting() as collector:
        assert await decorated() == ""
        async with open_tracing(options(collector)):
            seen = await decorated()
    assert collector.named("decorated").id == seen


async def test_one_lifespan_after_another_has_its_own_spans() -> None:
    with collecting() as first, collecting() as second:
        for collector in (first, second):
            async with open_tracing(options(collector)):
                with early.start_as_current_span("work"):
                    assert current_recorder() is not None
    assert current_recorder() is None
    assert first.named("work").trace_id != second.named("work").trace_id


async def test_own_spans_in_a_trace_that_is_not_recorded_are_not_either() -> None:
    with collecting() as collector:
        async with open_tracing(options(collector, ratio=0.5)):
            recorder = current_recorder()
            assert recorder is not None
            outcomes = set()
            for _ in range(100):
                with recorder.root("work", "internal") as span, early.start_as_current_span("part"):
                    outcomes.add(span is not None)
                    carried = recorder.carried()
                with recorder.root("elsewhere", "consumer", parent=carried) as further:
                    assert (further is not None) == (span is not None)
    assert outcomes == {True, False}
    names = [span.name for span in collector.spans]
    assert names.count("work") == names.count("part") == names.count("elsewhere") < 100
    assert all(span.parent_id for span in collector.spans if span.name != "work")
