"""Sending spans to the collector: from a thread of this process, with a bounded queue, and one line about an outage."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

__all__ = ["Export"]

logger = logging.getLogger("sanicbase.tracing")

QUEUE = 2048  # spans that wait for the thread; further ones replace the oldest
BATCH = 512
DELAY = 1000  # milliseconds in which spans gather
EXPORT_TIMEOUT = 5.0  # seconds for one request to the collector, with its retries
END_TIMEOUT = 2.0  # seconds in which the end of the process waits for the last spans


class Export:
    """The queue of a process and the thread that empties it, which starts here.

    Nobody waits for the collector: a span that finds the queue full replaces the oldest one.
    """

    def __init__(self, endpoint: str) -> None:
        for name in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # they log each batch that fails; ours logs the outage
        self._exporter = _Exporter(endpoint)
        self.processor = BatchSpanProcessor(
            self._exporter, max_queue_size=QUEUE, schedule_delay_millis=DELAY, max_export_batch_size=BATCH
        )

    async def close(self) -> None:
        """Send what is in the queue. After END_TIMEOUT, the rest is dropped, and the thread ends by itself."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            self.processor.shutdown()  # type: ignore[no-untyped-call]
            try:
                loop.call_soon_threadsafe(ended.set)
            except RuntimeError:  # the loop is closed, because this took too long
                return

        # Not in the loop's executor, which the end of the loop waits for.
        threading.Thread(target=end, name="end of tracing", daemon=True).start()
        try:
            async with asyncio.timeout(END_TIMEOUT):
                await ended.wait()
        except TimeoutError:
            logger.warning("The last spans were not sent: %s did not respond in time.", self._exporter.endpoint)
        finally:
            self._exporter.stop()


class _Exporter(SpanExporter):
    """OpenTelemetry's exporter, with a line in the log when the collector does not respond, and when it does again."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._exporter = OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_TIMEOUT)
        self._is_away = self._is_stopped = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._is_stopped:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        is_away = result is not SpanExportResult.SUCCESS
        if is_away != self._is_away and not self._is_stopped:
            self._is_away = is_away
            if is_away:
                logger.warning("The collector at %s does not accept spans: they are lost until it does.", self.endpoint)
            else:
                logger.warning("The collector at %s accepts spans again.", self.endpoint)
        return result

    def stop(self) -> None:
        """Send nothing more."""
        self._is_stopped = True

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
