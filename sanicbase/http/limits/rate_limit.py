"""Rate limits of views, which guards check before the body is read.

The response headers are those of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy` has what is allowed, and
`RateLimit` what is left of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from math import ceil

from sanic.response import BaseHTTPResponse
from sanic_routing.route import Route

from sanicbase.codes import CodedError, StatusError
from sanicbase.errors import SanicBaseError
from sanicbase.http.limits.identity import Identity, address, as_identity
from sanicbase.http.request import AnyRequest
from sanicbase.rc.moving_window import MovingWindows, Rate, WindowCount
from sanicbase.server.context import App

__all__ = ["LimitGuard", "Limits", "RateLimit", "as_limits", "install_limits", "limit_guards", "too_many_requests"]

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNLIMITED_PATHS = ("livez", "readyz")


@dataclass(frozen=True)
class RateLimit:
    """A limit of requests: `RateLimit("100/minute", by=address)`.

    `by` is `address`, `user`, `header("X-API-Key")`, or a function that returns the identity of a request, or None if
    the request is not counted. `methods` are the HTTP methods that are counted, by default all of them. A limit counts
    the requests of one view, unless it has a `name`: limits of the same name count together. Raises SanicBaseError.
    """

    text: str
    by: Identity | Callable[[AnyRequest], str | None] = address
    methods: Collection[str] = ()
    name: str = ""
    rate: Rate = field(init=False)
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", Rate.parse(self.text))
        object.__setattr__(self, "identity", as_identity(self.by))
        object.__setattr__(self, "methods", frozenset(method.upper() for method in self.methods))
        if self.name and NAME.fullmatch(self.name) is None:
            raise SanicBaseError(f"The name {self.name!r} of a limit may have letters, digits, '.', '_' and '-' only.")

    @property
    def policy(self) -> str:
        """The name of the policy in the response headers."""
        return self.name or f"{re.sub(r'[^A-Za-z0-9._-]', '-', self.identity.name)[:48]}-{self.rate.seconds}"


Limits = RateLimit | Sequence[RateLimit]
"""The limits of a view; an empty sequence exempts it from the default one."""


def as_limits(limits: Limits) -> tuple[RateLimit, ...]:
    """The limits as a tuple."""
    return (limits,) if isinstance(limits, RateLimit) else tuple(limits)


@dataclass(frozen=True, eq=False)
class LimitGuard:
    """The guard of one limit. `scope` is the name of its counter: that of the view, or that of the limit."""

    limit: RateLimit
    scope: str

    def counts(self, method: str) -> bool:
        """Whether requests of that method are counted."""
        return not self.limit.methods or method in self.limit.methods

    async def __call__(self, request: AnyRequest, /) -> None:
        limit = self.limit
        if not self.counts(request.method):
            return
        whose = limit.identity.read(request)
        if whose is None:
            return
        windows: MovingWindows = request.app.ctx.windows
        count = await windows.count(f"{self.scope}/{limit.policy}/{whose}", limit.rate)
        if count is None:
            return
        request.ctx.rate_limits = (*request.ctx.rate_limits, (limit, count))
        if not count.allowed:
            raise too_many_requests(count.reset)


def limit_guards(limits: Sequence[RateLimit], scope: str) -> tuple[tuple[LimitGuard, ...], tuple[LimitGuard, ...]]:
    """The guards of a view's limits: those before `admit`, and those that need the user."""
    guards = [LimitGuard(limit, limit.name or scope) for limit in limits]
    return (
        tuple(guard for guard in guards if not guard.limit.identity.needs_user),
        tuple(guard for guard in guards if guard.limit.identity.needs_user),
    )


def too_many_requests(seconds: float) -> CodedError:
    """The error for a 429, with the time to wait."""
    error = StatusError.TOO_MANY_REQUESTS()
    error.headers["Retry-After"] = str(max(1, ceil(seconds)))
    return error


def install_limits(app: App) -> None:
    """Apply RATE_LIMIT to each route of the app that has no limit and is not exempt, and add the headers to responses.

    RATE_LIMIT counts the requests of an address to all these routes together.
    """
    routes: Sequence[Route] = app.router.routes
    if default := app.ctx.config.RATE_LIMIT:
        guard = LimitGuard(RateLimit(default, name="default"), "default")
        for route in routes:
            if _takes_default(route):
                route.ctx.guards = (guard, *getattr(route.ctx, "guards", ()))
    if any(isinstance(guard, LimitGuard) for route in routes for guard in getattr(route.ctx, "guards", ())):
        app.ctx.response_hooks.append(add_headers)


def _takes_default(route: Route) -> bool:
    guards = getattr(route.ctx, "guards", ())
    return not (
        route.path in UNLIMITED_PATHS
        or getattr(route.ctx, "unlimited", False)
        or any(isinstance(guard, LimitGuard) for guard in guards)
    )


def add_headers(request: AnyRequest, response: BaseHTTPResponse) -> None:
    """The response hook: add what is allowed, and what is left of it."""
    counts: tuple[tuple[RateLimit, WindowCount], ...] = request.ctx.rate_limits
    if not counts:
        return
    response.headers["RateLimit-Policy"] = ", ".join(
        f'"{limit.policy}";q={limit.rate.amount};w={limit.rate.seconds}' for limit, _ in counts
    )
    response.headers["RateLimit"] = ", ".join(
        f'"{limit.policy}";r={count.remaining};t={ceil(count.reset)}' for limit, count in counts
    )
