"""Load shedding: a worker that is overloaded refuses requests at once, so that it can answer the others in time.

The number of requests that are handled at once is limited, and so is the time that others wait. In asyncio, a request
also waits invisibly: its bytes are in the socket, or its task is ready, while other handlers use the CPU. The queue
time of a request is therefore the time since its bytes were received plus the lag of the event loop.

Requests are refused while there is a standing queue, as in CoDel (K. Nichols, V. Jacobson, RFC 8289) and its adaptation
for RPC servers (B. Maurer, Fail at Scale, ACM Queue 13(8), 2015): if no request of an interval waited less than the
target, those that waited twice as long are refused. A burst is not a standing queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from sanic.response import BaseHTTPResponse

from sanicbase.edge.errors import RefusedRequest
from sanicbase.edge.http import EdgeHttp
from sanicbase.edge.protocol import EdgeProtocol

__all__ = ["LimitedProtocol", "LoadLimiter", "StandingQueue"]

logger = logging.getLogger("sanicbase.load")

INTERVAL = 0.1  # seconds in which some request must wait less than the target
PROBE = 0.02  # seconds between two measurements of the event loop's lag
CALM = 5.0  # seconds without a refusal that end an overload
RESERVED = frozenset(("/livez", "/readyz"))
REFUSAL = "The service is overloaded."


class StandingQueue:
    """Detects a standing queue, by the time that each request has waited."""

    def __init__(self, max_wait: float) -> None:
        self._max_wait = max_wait
        self._target = max_wait / 2
        self._min_wait = inf
        self._interval_end = 0.0
        self.is_standing = False

    def exceeds(self, wait: float, now: float) -> bool:
        """Record how long a request has waited. Returns whether to refuse it."""
        if now >= self._interval_end:
            self.is_standing = self._target < self._min_wait < inf
            self._interval_end = now + INTERVAL
            self._min_wait = wait
        elif wait < self._min_wait:
            self._min_wait = wait
        return self.is_standing and wait > self._max_wait


class LoadLimiter:
    """The limit that the requests of a worker share: `limit` are handled at once, and the same number may wait, for at
    most `max_wait` seconds each. `refusal` creates the response to a refused one.

    Owned by one event loop, from `start` to `stop`.
    """

    def __init__(self, limit: int, max_wait: float, refusal: Callable[[Any], BaseHTTPResponse]) -> None:
        self.limit = limit
        self.refusal = refusal
        self._max_wait = max_wait
        self._probe: asyncio.TimerHandle | None = None
        self._reset()

    def _reset(self) -> None:
        self.in_flight = 0
        self._queue: deque[tuple[asyncio.Future[bool], float]] = deque()
        self._standing = StandingQueue(self._max_wait)
        self._lag = 0.0
        self._due = self._measured_at = 0.0
        self._admits_next = True
        self.refused = 0
        """The number of requests refused in this overload."""
        self._overloaded_since = self._refused_at = 0.0

    def start(self) -> None:
        """Start to measure the lag of the running event loop."""
        self._reset()
        self._loop = asyncio.get_running_loop()
        self._schedule_probe()

    def stop(self) -> None:
        """Stop the measurements."""
        if self._probe is not None:
            self._probe.cancel()

    def enter_at_once(self, received: float) -> bool | None:
        """`enter` for a request that need not wait for its turn; None for one that must."""
        return self._admit(received) if self.in_flight < self.limit and not self._queue else None

    async def enter(self, received: float) -> bool:
        """Wait for a turn. Returns whether the request, whose bytes were received at that time, may be handled; if so,
        the caller must call `leave`."""
        if (admitted := self.enter_at_once(received)) is not None:
            return admitted
        if len(self._queue) >= self.limit:
            self._refuse()
            return False
        turn: asyncio.Future[bool] = self._loop.create_future()
        self._queue.append((turn, received))
        timer = self._loop.call_later(self._max_wait, self._give_up, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.leave()
            turn.cancel()
            self._drop_done()
            raise
        finally:
            timer.cancel()

    def may_begin(self, received: float) -> bool:
        """Whether a request that takes no turn, such as a WebSocket handshake, may be handled."""
        admitted = self._admit(received)
        self.in_flight -= admitted
        return admitted

    def rejoin(self) -> None:
        """Take a turn again, without waiting for it."""
        self.in_flight += 1

    def leave(self) -> None:
        """The request has been handled: the next one has its turn."""
        self.in_flight -= 1
        while self._queue and self.in_flight < self.limit:
            turn, received = self._queue.popleft()
            if not turn.done():
                turn.set_result(self._admit(received))

    def _admit(self, received: float) -> bool:
        now = monotonic()
        lag = self._lag if received <= self._measured_at else 0.0  # a later request was not delayed by it
        if self._standing.exceeds(now - received + lag, now) and not self._admits_next:
            self._refuse()
            return False
        self._admits_next = False
        self.in_flight += 1
        return True

    def _give_up(self, turn: asyncio.Future[bool]) -> None:
        if not turn.done():
            self._refuse()
            turn.set_result(False)
            self._drop_done()

    def _drop_done(self) -> None:
        """Remove requests that no longer wait. One that left early stays until those before it have left."""
        while self._queue and self._queue[0][0].done():
            self._queue.popleft()

    def _refuse(self) -> None:
        self._refused_at = monotonic()
        self.refused += 1
        if not self._overloaded_since:
            self._overloaded_since = self._refused_at
            logger.warning(
                "The worker is overloaded and responds with 503: %d requests in flight, %d waiting, "
                "the loop lags %d ms.",
                self.in_flight, len(self._queue), self._lag * 1000,
            )  # fmt: skip

    def _schedule_probe(self) -> None:
        self._due = monotonic() + PROBE
        self._probe = self._loop.call_later(PROBE, self._measure)

    def _measure(self) -> None:
        """Measure the lag. However long handlers take, one request is admitted for each turn of the loop, so that the
        worker never idles."""
        now = self._measured_at = monotonic()
        self._lag = max(0.0, now - self._due)
        self._admits_next = True
        if self._overloaded_since and now - self._refused_at > CALM:
            seconds = self._refused_at - self._overloaded_since
            logger.warning(
                "The worker is no longer overloaded: it refused %d requests in %.1f s.", self.refused, seconds
            )
            self._overloaded_since, self.refused = 0.0, 0
        self._schedule_probe()


class LimitedHttp(EdgeHttp):
    """The requests of a connection, each of which takes a turn.

    A request holds its turn until its response begins, because a stream may last for hours and a client may read
    slowly. While the worker waits for the rest of a body, another request may take the turn; the request takes one
    again when its body has arrived.
    """

    protocol: LimitedProtocol

    __slots__ = ("_holds_turn", "_is_waiting")

    def __init__(self, protocol: LimitedProtocol) -> None:
        super().__init__(protocol)
        self._holds_turn = self._is_waiting = False

    async def handle(self) -> None:
        limiter, request = self.protocol.limiter, self.request
        if request.path in RESERVED:
            await super().handle()
        elif self.upgrade_websocket:
            if limiter.may_begin(self.protocol.received_at):
                await super().handle()
            else:
                await self._refuse()
        else:
            admitted = limiter.enter_at_once(self.protocol.received_at)
            if admitted is None:
                admitted = await limiter.enter(self.protocol.received_at)
            if not admitted:
                await self._refuse()
                return
            self._holds_turn = True
            try:
                await super().handle()
            finally:
                self._end_turn()
                self._is_waiting = False

    async def _refuse(self) -> None:
        request = self.request
        response = self.protocol.limiter.refusal(request)
        request.responded = True
        if not self.send_whole(response):
            await self.respond(response).send(end_stream=True)

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:
        self._end_turn()
        await super().http1_response_header(data, end_stream)

    def wait_for_client(self) -> None:
        """Give up the turn while the body is incomplete."""
        if self._holds_turn:
            self._end_turn()
            self._is_waiting = True

    async def read(self) -> bytes | None:
        data = await super().read()
        is_streamed = self.request_max_size == inf
        if self._is_waiting and (data is None or is_streamed):
            self._is_waiting = False
            if is_streamed:
                self.protocol.limiter.rejoin()
            elif not await self.protocol.limiter.enter(self.protocol.received_at):
                raise RefusedRequest(REFUSAL, 503)
            self._holds_turn = True
        return data

    def _end_turn(self) -> None:
        if self._holds_turn:
            self._holds_turn = False
            self.protocol.limiter.leave()


class LimitedProtocol(EdgeProtocol):
    """A connection that records when bytes were received."""

    HTTP_CLASS: type[EdgeHttp] = LimitedHttp

    __slots__ = ("limiter",)

    def __init__(self, *, app: Any, **options: Any) -> None:
        super().__init__(app=app, **options)
        self.limiter: LoadLimiter = app.ctx.load_limiter

    def data_received(self, data: bytes) -> None:
        self.received_at = monotonic()
        super().data_received(data)

    async def receive_in_time(self) -> None:
        if isinstance(self._http, LimitedHttp):
            self._http.wait_for_client()
        await super().receive_in_time()
