"""The rules of a route, kept by one hook before the body is read and before a WebSocket is upgraded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sanic.exceptions import Unauthorized
from sanic.request import Request

from sanicbase.errors import SanicBaseError
from sanicbase.http.headers import check_handshake, check_headers
from sanicbase.http.operation import Operation
from sanicbase.typing import App

__all__ = ["BEARER", "Guard", "Rule", "Security", "challenge_of", "guards", "install_rules"]

Rule = Callable[[Request], Awaitable[object]]
"""Called with the request before the handler. It lets the request in by returning, the user where there is one, and
refuses it by raising one of Sanic's exceptions. A route has its rules in its context:
`add_route(handler, uri, ctx_rules=(signed_in,))`."""


Security = Mapping[str, Mapping[str, object]]
"""How a client authenticates, as OpenAPI has it in `securitySchemes`: for the document and `WWW-Authenticate`."""

BEARER: Security = {"bearer": {"type": "http", "scheme": "bearer"}}


def install_rules(app: App) -> None:
    """Keep the rules of every route of the app. A middleware would come too late: it runs after the body was read."""

    @app.signal("http.routing.after")
    async def keep_rules(request: Request, **context: Any) -> None:
        check_headers(request)
        if hasattr(context["handler"], "is_websocket"):
            check_handshake(request)
        for rule in getattr(context["route"].ctx, "rules", ()):
            await rule(request)


@dataclass(frozen=True, eq=False)
class Guard:
    """The rule of a view: it is asked who comes, and whoever is nobody may not call a method that takes a `user`.

    What `admit` returns is in `request.ctx.user` from then on.
    """

    admit: Rule
    for_users: frozenset[str]
    scheme: str = "Bearer"

    async def __call__(self, request: Request) -> None:
        user = request.ctx.user = await self.admit(request)
        if user is None and request.method in self.for_users:
            raise Unauthorized("Say who you are.", scheme=self.scheme)


def guards(
    name: str, admit: Rule | None, public: bool, operations: Mapping[str, Operation], security: Security
) -> tuple[Rule, ...]:
    """The rules of a view with these operations, by method. Raises SanicBaseError unless it is said who may come in."""
    users = [operation for operation in operations.values() if operation.takes_user]
    if public:
        if users:
            raise SanicBaseError(f"{users[0].name} takes a user, and {name} is public: nobody is asked there.")
        return ()
    if admit is None:
        raise SanicBaseError(f"{name} lets nobody in: give it an `admit`, or open it to everybody by public=True.")
    if users and getattr(admit, "__annotations__", {}).get("return", "") in ("None", None):
        raise SanicBaseError(f"{users[0].name} takes a user, and its admit returns none: return and annotate one.")
    for_users = frozenset(method for method, each in operations.items() if each.wants_user)
    return (Guard(admit, for_users, _scheme(security)),)


def challenge_of(request: Request) -> str:
    """The scheme by which a client of that route authenticates, for WWW-Authenticate (RFC 9110, 11.6.1)."""
    context = request.route.ctx if request.route is not None else None
    exposed = getattr(context, "exposed", None)
    if exposed is not None:  # a public view has no guard, and may raise a 401 all the same: where users sign in
        return _scheme(exposed.security)
    return next((rule.scheme for rule in getattr(context, "rules", ()) if isinstance(rule, Guard)), "Bearer")


def _scheme(security: Security) -> str:
    """That of HTTP where there is one. A key in a header or a cookie has none, and is called as in OpenAPI."""
    for each in security.values():
        if each.get("type") == "http":
            return str(each["scheme"]).capitalize()
    return "ApiKey" if any(each.get("type") == "apiKey" for each in security.values()) else "Bearer"
