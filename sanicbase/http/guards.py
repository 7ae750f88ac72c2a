"""Guards: who may use a route. They run before the body is read, and before a WebSocket is upgraded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sanic.exceptions import BadRequest, Unauthorized
from sanic_routing.route import Route
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader

from sanicbase.errors import SanicBaseError
from sanicbase.http.cors import CORS
from sanicbase.http.deadline import DeadlineGuard
from sanicbase.http.errors.exceptions import FieldError, InvalidHeaders, printable
from sanicbase.http.limits.rate_limit import LimitGuard, Limits, RateLimit, as_limits, limit_guards
from sanicbase.http.request import AnyRequest, Request
from sanicbase.server.context import App

__all__ = [
    "BEARER",
    "BEARER_SUBPROTOCOL",
    "USER_CHECKS",
    "Admission",
    "Authentication",
    "Guard",
    "GuardedView",
    "Security",
    "UserCheck",
    "authentication_scheme",
    "challenge_of",
    "check_headers",
    "has_guards",
    "is_guarded",
    "is_limited",
    "is_optional",
    "is_websocket",
    "offered_subprotocols",
    "required_checks",
    "run_guards",
    "user_checks",
]

Guard = Callable[[AnyRequest], Awaitable[object]]
"""Called with the request before its handler. It admits the request by returning, and refuses it by raising one of
Sanic's exceptions. A route has its guards in its context: `add_route(handler, uri, ctx_guards=(signed_in,))`."""


UserCheck = Callable[[Any], None]
"""Called with the user that `admit` returned, or None, before the body is read. It refuses the request by raising an
exception. A view or a method has its checks in the attribute USER_CHECKS."""
USER_CHECKS = "user_checks"

Security = Mapping[str, Mapping[str, object]]
"""How a client authenticates, as OpenAPI has it in `securitySchemes`: for the document and `WWW-Authenticate`."""

BEARER: Security = {"bearer": {"type": "http", "scheme": "bearer"}}
BEARER_SUBPROTOCOL = "bearer"
"""The subprotocol that a browser offers before a token: `new WebSocket(url, ["bearer", token])`."""
SINGLE = ("authorization", "content-type")  # headers that have one value


def check_headers(request: AnyRequest) -> None:
    """Refuse a header that is sent twice although it has one value (RFC 9110, 5.3): a proxy may read one of them and
    the service the other. Raises InvalidHeaders."""
    values_of = request.headers.getall
    if len(values_of("authorization", ())) > 1 or len(values_of("content-type", ())) > 1:
        repeated = [name for name in SINGLE if len(values_of(name, ())) > 1]
        raise InvalidHeaders([FieldError.of(f"header.{name}", "repeated") for name in repeated])


def has_guards(app: App) -> bool:
    """Whether a route of the app has guards, or is a WebSocket, whose handshake is checked."""
    return any(getattr(route.ctx, "guards", ()) or is_websocket(route.handler) for route in app.router.routes)


async def run_guards(request: Request, route: Route, handler: object, **_: object) -> None:
    """Run the guards of a route. A middleware would be too late: it runs after the body was read."""
    if is_websocket(handler):
        _check_handshake(request)
        if request.app.ctx.check_socket_origin is not None:
            request.app.ctx.check_socket_origin(request)
    for guard in getattr(route.ctx, "guards", ()):
        await guard(request)


def offered_subprotocols(request: AnyRequest) -> list[str]:
    """The subprotocols that a client offers with the handshake of a WebSocket, in its order."""
    lines = request.headers.getall("sec-websocket-protocol", ())
    return [name.strip(" \t") for line in lines for name in line.split(",")]


@dataclass(frozen=True)
class Admission:
    """Who may use a view, HTTP or WebSocket: everybody, or the clients that `admit` does not refuse."""

    admit: Guard | None
    public: bool
    security: Security
    limits: tuple[RateLimit, ...] | None = None
    """Its rate limits; None if the default one applies."""
    scope: str = ""
    """The name under which these limits count requests."""

    def guards(
        self,
        name: str,
        *,
        takes_user: str = "",
        methods_for_users: Collection[str] = (),
        checks: Mapping[str, tuple[UserCheck, ...]] | None = None,
    ) -> tuple[Guard, ...]:
        """The guards of a view; `name` is used in errors.

        `takes_user` names the parameter or method that takes the user, if any; `methods_for_users` are the HTTP methods
        that an anonymous client may not call; `checks` are the checks of each method. Raises SanicBaseError if nobody
        is admitted, and if there is no user to take or to check.
        """
        checks = {method: required for method, required in (checks or {}).items() if required}
        first, last = limit_guards(self.limits or (), self.scope)
        return (*first, *self._authentication(name, takes_user, methods_for_users, checks), *last)

    def _authentication(
        self,
        name: str,
        takes_user: str,
        methods_for_users: Collection[str],
        checks: Mapping[str, tuple[UserCheck, ...]],
    ) -> tuple[Guard, ...]:
        if self.public:
            if takes_user or checks:
                needs = f"{takes_user} takes a user" if takes_user else "a permission is required"
                raise SanicBaseError(f"{needs}, but {name} is public. Remove one of the two.")
            return ()
        if self.admit is None:
            raise SanicBaseError(f"{name} admits nobody. Define `admit`, or set public=True.")
        if takes_user and getattr(self.admit, "__annotations__", {}).get("return", "") in ("None", None):
            raise SanicBaseError(
                f"{takes_user} takes a user, but its admit returns none. Return a user, and annotate the return type."
            )
        scheme = authentication_scheme(self.security)
        authentication = Authentication(self.admit, frozenset(methods_for_users), scheme)
        return (authentication, Authorization(checks)) if checks else (authentication,)


@dataclass(frozen=True, eq=False)
class Authentication:
    """The guard of a view: it gets the user from `admit`, and refuses anonymous clients if a user is required."""

    admit: Guard
    methods_for_users: frozenset[str]
    scheme: str = "Bearer"

    async def __call__(self, request: AnyRequest, /) -> None:
        user = await self.admit(request)
        if user is not None:
            request.ctx.user = user
        elif request.method in self.methods_for_users:
            raise Unauthorized("Authentication is required.", scheme=self.scheme)


@dataclass(frozen=True, eq=False)
class Authorization:
    """The guard of a view that requires permissions: it calls the checks of the request's method with the user."""

    checks: Mapping[str, tuple[UserCheck, ...]]

    async def __call__(self, request: AnyRequest, /) -> None:
        for check in self.checks.get(request.method, ()):
            check(request.ctx.user)


def user_checks(place: object) -> tuple[UserCheck, ...]:
    """The checks of a view, or of one of its methods."""
    checks: tuple[UserCheck, ...] = getattr(place, USER_CHECKS, ())
    return checks


def required_checks(guards: Iterable[Guard], method: str) -> tuple[UserCheck, ...]:
    """The checks among the guards of a route, for that method."""
    authorizations = (guard for guard in guards if isinstance(guard, Authorization))
    return tuple(check for authorization in authorizations for check in authorization.checks.get(method, ()))


class GuardedView:
    """The base of APIView and WSView: a class that says who may use it.

    Nobody is admitted unless the class overrides `admit` or is public: `class NewsAPI(APIView, public=True)`. `cors`
    says which pages of other origins may use it, instead of the settings: `class NewsAPI(APIView, cors=CORS([…]))`.
    `limit` has its rate limits: `class NewsAPI(APIView, public=True, limit=RateLimit("100/minute"))`.
    """

    security: ClassVar[Security] = BEARER
    """How a client authenticates, as OpenAPI has it in `securitySchemes`: for the document and `WWW-Authenticate`."""
    _public: ClassVar[bool] = False
    _cors: ClassVar[CORS | None] = None
    _limits: ClassVar[tuple[RateLimit, ...] | None] = None

    def __init_subclass__(
        cls, *, public: bool | None = None, cors: CORS | None = None, limit: Limits | None = None, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if cors is not None:
            cls._cors = cors
        if limit is not None:
            cls._limits = as_limits(limit)
        overrides = "admit" in vars(cls)
        if public and overrides:
            raise SanicBaseError(f"{cls.__name__} is public and defines an admit. Remove one of the two.")
        if public is not None or overrides:
            cls._public = bool(public)

    @classmethod
    async def admit(cls, request: AnyRequest) -> object:
        """Override to authenticate the client before the body is read: raise Unauthorized or Forbidden to refuse it.

        The return value is the user, and is also `request.ctx.user`. None is an anonymous client, who gets a 401 if a
        user is required.
        """
        return None

    @classmethod
    def _admission(cls) -> Admission:
        overridden = cls.admit.__func__ is not GuardedView.admit.__func__  # type: ignore[attr-defined]
        scope = f"{cls.__module__}.{cls.__qualname__}"
        return Admission(cls.admit if overridden else None, cls._public, cls.security, cls._limits, scope)


def is_guarded(guards: tuple[Guard, ...]) -> bool:
    """Whether these guards may refuse a client for its identity, and not only for its rate or a deadline."""
    return any(not isinstance(guard, LimitGuard | DeadlineGuard) for guard in guards)


def is_limited(guards: tuple[Guard, ...], method: str) -> bool:
    """Whether one of these guards limits the rate of that method."""
    return any(isinstance(guard, LimitGuard) and guard.counts(method) for guard in guards)


def is_optional(annotation: object) -> bool:
    """Whether a type has None among its choices."""
    return type(None) in getattr(annotation, "__args__", ())


def challenge_of(request: AnyRequest) -> str:
    """The scheme by which a client of that route authenticates, for WWW-Authenticate (RFC 9110, 11.6.1)."""
    context = request.route.ctx if request.route is not None else None
    spec = getattr(context, "spec", None)
    if spec is not None:  # a public view has no guard, but may raise a 401, such as a sign-in view
        return authentication_scheme(spec.security)
    guards = getattr(context, "guards", ())
    return next((guard.scheme for guard in guards if isinstance(guard, Authentication)), "Bearer")


def authentication_scheme(security: Security) -> str:
    """The HTTP scheme, if there is one. A key in a header or a cookie has none, and is named as in OpenAPI."""
    for scheme in security.values():
        if scheme.get("type") == "http":
            return str(scheme["scheme"]).capitalize()
    return "ApiKey" if any(scheme.get("type") == "apiKey" for scheme in security.values()) else "Bearer"


def is_websocket(handler: object) -> bool:
    """Whether the handler of a route is that of a WebSocket."""
    return hasattr(handler, "is_websocket")


def _check_handshake(request: Request) -> None:
    """Refuse the headers that the websockets package cannot read; Sanic would answer 500. Raises BadRequest."""
    try:
        Headers(request.headers)
    except InvalidHeader as exc:
        name = printable(exc.name)
        raise BadRequest(f"The header {name} contains a character that a WebSocket handshake must not have.") from None
