"""Connections that count the requests that are being handled, and how long those have waited.

Only a service whose metrics are on has connections of these classes.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from sanicbase.edge.http import EdgeHttp
from sanicbase.edge.load import LimitedHttp, LimitedProtocol
from sanicbase.edge.protocol import EdgeProtocol
from sanicbase.metrics import Gauge, Histogram

__all__ = ["MeteredLimitedProtocol", "MeteredProtocol"]

IN_FLIGHT = Gauge("sanicbase_http_requests_in_flight", "Requests that are being handled, without WebSockets.")
QUEUE_TIME = Histogram(
    "sanicbase_http_queue_seconds", "How long requests waited, from their last received byte until they were handled."
)


class MeteredHttp(EdgeHttp):
    """A connection's requests, which are counted while they are handled."""

    protocol: MeteredProtocol | MeteredLimitedProtocol

    __slots__ = ()

    async def handle(self) -> None:
        protocol = self.protocol
        protocol.observe_wait(monotonic() - protocol.received_at)
        if self.upgrade_websocket:
            await super().handle()
            return
        protocol.add_in_flight(1)
        try:
            await super().handle()
        finally:
            protocol.add_in_flight(-1)


class MeteredProtocol(EdgeProtocol):
    """A connection of such requests, which notes when bytes were received."""

    HTTP_CLASS: type[EdgeHttp] = MeteredHttp

    __slots__ = ("add_in_flight", "observe_wait")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_in_flight, self.observe_wait = IN_FLIGHT.bind(), QUEUE_TIME.bind()

    def data_received(self, data: bytes) -> None:
        self.received_at = monotonic()
        super().data_received(data)


class MeteredLimitedHttp(LimitedHttp, MeteredHttp):
    """Requests that take turns, and are counted while they have theirs."""

    protocol: MeteredLimitedProtocol

    __slots__ = ()


class MeteredLimitedProtocol(LimitedProtocol):
    """A connection of such requests."""

    HTTP_CLASS: type[EdgeHttp] = MeteredLimitedHttp

    __slots__ = ("add_in_flight", "observe_wait")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_in_flight, self.observe_wait = IN_FLIGHT.bind(), QUEUE_TIME.bind()
