"""The deadline of a request: when it expires, the handler is cancelled together with what it waits for, such as a
statement.

A service that calls others passes the remaining time on, so that they do not work for a client that has gone.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from math import inf
from time import perf_counter

from sanic.exceptions import BadRequest, ServerError, ServiceUnavailable
from sanic.http import Http, Stage
from sanic.response import BaseHTTPResponse

from sanicbase.edge.forwarded import TrustedProxies
from sanicbase.edge.sockets import peer_address
from sanicbase.errors import SanicBaseError
from sanicbase.http.request import AnyRequest, Request
from sanicbase.server.context import App

__all__ = ["DEADLINE_HEADER", "DeadlineGuard", "check_deadline", "deadline_headers", "install_deadlines", "time_left"]

DEADLINE_HEADER = "X-Request-Timeout-Ms"
MILLISECONDS = re.compile(r"[0-9]{1,9}")
EXEMPT = ("livez", "readyz")


@dataclass(frozen=True, eq=False)
class DeadlineGuard:
    """The first guard of a route: it starts the deadline of the request. If `seconds` is infinite, only the trusted
    `peers` set a deadline."""

    seconds: float
    peers: TrustedProxies | None

    async def __call__(self, request: AnyRequest, /) -> None:
        seconds = self.seconds
        if self.peers is not None and (sent := _sent_by(self.peers, request)) is not None:
            seconds = min(seconds, _seconds(sent))
        if seconds == inf:
            return
        context = request.ctx
        context.deadline = context.started + seconds
        left = context.deadline - perf_counter()
        if left <= 0:
            raise _exceeded(seconds)
        context.deadline_timer = asyncio.get_running_loop().call_later(left, _expire, request, seconds)


def install_deadlines(app: App) -> None:
    """Give each HTTP route of the app its deadline: its own, or REQUEST_DEADLINE, if there is any."""
    config = app.ctx.config
    peers = TrustedProxies(config.DEADLINE_PEERS) if config.DEADLINE_PEERS else None
    routes = [route for route in app.router.routes if not hasattr(route.handler, "is_websocket")]
    has_any = False
    for route in routes:
        seconds = getattr(route.ctx, "deadline", None) or config.REQUEST_DEADLINE or inf
        if route.path in EXEMPT or (seconds == inf and peers is None):
            continue
        route.ctx.guards = (DeadlineGuard(seconds, peers), *getattr(route.ctx, "guards", ()))
        has_any = True
    if has_any:
        app.ctx.response_hooks.append(_end)


def check_deadline(name: str, seconds: float | None) -> float | None:
    """The deadline of a view. Raises SanicBaseError for one that is not positive."""
    if seconds is not None and not 0 < seconds < inf:
        raise SanicBaseError(f"{name} has the deadline {seconds!r}: it is a positive number of seconds.")
    return seconds


def time_left() -> float:
    """The seconds until the deadline of the current request, or until RESPONSE_TIMEOUT if it has none. Not positive
    after it has expired, and infinite outside a request."""
    try:
        request: AnyRequest = Request.get_current()
    except ServerError:
        return inf
    context = request.ctx
    return float((context.deadline or context.started + request.app.ctx.config.RESPONSE_TIMEOUT) - perf_counter())


def deadline_headers() -> dict[str, str]:
    """The headers that pass the deadline of the current request on to a service that this one calls.

        await http.get(url, headers=deadline_headers(), timeout=time_left())

    Outside a request there are none.
    """
    left = time_left()
    return {} if left == inf else {DEADLINE_HEADER: str(max(0, int(left * 1000)))}


def _sent_by(peers: TrustedProxies, request: AnyRequest) -> str | None:
    sent: str | None = request.headers.get(DEADLINE_HEADER)
    return sent if sent is not None and peers.trusts(peer_address(request.transport)) else None


def _seconds(text: str) -> float:
    if MILLISECONDS.fullmatch(text) is None:
        raise BadRequest(f"The header {DEADLINE_HEADER} is not a number of milliseconds.")
    return int(text) / 1000


def _exceeded(seconds: float) -> ServiceUnavailable:
    return ServiceUnavailable(f"The deadline of {seconds:g} s has passed.")


def _expire(request: AnyRequest, seconds: float) -> None:
    """Cancel the connection's task as Sanic does after RESPONSE_TIMEOUT. The response is then that error."""
    http = request.stream
    if isinstance(http, Http) and http.request is request and http.stage is Stage.HANDLER:
        http.exception = _exceeded(seconds)
        if (task := http.protocol._task) is not None:  # noqa: SLF001
            task.cancel()


def _end(request: AnyRequest, response: BaseHTTPResponse) -> None:
    """The response hook: the response has begun in time. A stream may then take longer."""
    timer = request.ctx.deadline_timer
    if timer is not None:
        timer.cancel()
