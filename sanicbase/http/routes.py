"""The routes of an app: how they are added, their checks at startup, and the types of path parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from itertools import chain, count
from typing import Any

from sanic import Blueprint
from sanic.constants import HTTP_METHODS
from sanic.exceptions import MethodNotAllowed, SanicException
from sanic.response import HTTPResponse
from sanic_routing.exceptions import RouteExists
from sanic_routing.group import RouteGroup
from sanic_routing.route import Route

from sanicbase.errors import SanicBaseError
from sanicbase.http.cors import CORS
from sanicbase.http.deadline import install_deadlines
from sanicbase.http.deprecation import Deprecation, install_deprecations
from sanicbase.http.errors.exceptions import printable
from sanicbase.http.events import end_event_streams
from sanicbase.http.guards import Authentication, Guard, Security
from sanicbase.http.idempotency import IdempotencyKeys
from sanicbase.http.idempotency.request_key import check_identity
from sanicbase.http.limits.rate_limit import install_limits
from sanicbase.http.operation import Operation
from sanicbase.http.request import AnyRequest, Request, receive_whole_body
from sanicbase.lifespan import Resource
from sanicbase.server.context import ERROR_FORMAT, App

__all__ = [
    "RouteSpec",
    "add_route",
    "cors_at",
    "finish_routes",
    "install_path_numbers",
    "methods_at",
    "name_allowed_methods",
    "operations_of",
    "register",
    "takes_uploads",
]

INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
PARAMETER = re.compile(r"<(\w+)")


@dataclass(frozen=True, eq=False)  # eq=False: Sanic hashes what a route has in its context
class RouteSpec:
    """The view behind a route, as `route.ctx.spec`: its operations by method, and how its clients authenticate."""

    operations: Mapping[str, Operation]
    security: Security


def add_route(
    to: App | Blueprint,
    handler: Callable[..., Any],
    uri: str,
    operations: Mapping[str, Operation],
    *,
    guards: tuple[Guard, ...],
    security: Security,
    unlimited: bool,
    deadline: float | None,
    deprecated: Deprecation | None,
    compress: bool,
    **options: Any,
) -> None:
    """Serve the operations, by method, at that path. Raises SanicBaseError if one lacks a parameter of the path.

    Parameters in the path are decoded (`%20` is a space), which Sanic leaves to the handler.
    """
    for operation in operations.values():
        operation.check_path(PARAMETER.findall(uri), uri)
    name = _free_name(to, handler.__name__, options.get("version"))
    options = {"name": name, "unquote": True, "error_format": ERROR_FORMAT, **options}
    spec = RouteSpec(operations, security)
    if any(operation.uploads is not None for operation in operations.values()):
        handler = _receiving(handler, operations)
    options |= {"ctx_guards": guards, "ctx_spec": spec, "ctx_deprecation": deprecated, "ctx_compress": compress}
    to.add_route(handler, uri, ctx_unlimited=unlimited, ctx_deadline=deadline, **options)


def _receiving(handler: Callable[..., Any], operations: Mapping[str, Operation]) -> Callable[..., Any]:
    """The handler of a view with uploads. Sanic leaves the body to it; operations without uploads receive theirs as
    usual."""

    @wraps(handler)
    async def receive(request: Request, **path: Any) -> Any:
        operation = operations.get(request.method)
        if operation is None or operation.uploads is None:
            await receive_whole_body(request)
        return await handler(request, **path)

    receive.is_stream = True  # type: ignore[attr-defined]  # Sanic looks here
    return receive


def _free_name(to: App | Blueprint, name: str, version: object) -> str:
    """A unique name for the route: a view may have several paths, and Sanic refuses duplicate names."""
    taken = [route.name for route in to._future_routes]  # noqa: SLF001  (Sanic shows them later)
    name = name if version is None else f"{name}_v{version}"
    full = to.generate_name(name)
    candidates = chain([""], (f"_{number}" for number in count(2)))
    return next(name + candidate for candidate in candidates if full + candidate not in taken)


def operations_of(route: Route) -> Mapping[str, Operation]:
    """The operations of a route, by method; none for a plain Sanic handler."""
    spec: RouteSpec | None = getattr(route.ctx, "spec", None)
    return spec.operations if spec is not None else {}


def takes_uploads(app: App) -> bool:
    """Whether a view of the app takes uploads."""
    return any(
        operation.uploads is not None for route in app.router.routes for operation in operations_of(route).values()
    )


def register(app: App, blueprint: Blueprint) -> None:
    """Add the blueprint's routes to the app. Raises SanicBaseError for two identical routes, and names both."""
    try:
        app.blueprint(blueprint)
    except RouteExists as exc:
        raise SanicBaseError(
            f"Two routes have the same path: {_both(app, blueprint)}. Change one of the paths."
        ) from exc


def finish_routes(app: App) -> tuple[Resource, ...]:
    """Check the routes of the app after all were added, and respond to OPTIONS. Returns the resources that they need.
    Raises SanicBaseError."""
    idempotent = []
    for group in list(_groups(app)):
        for route in group.routes:
            _check_guards(route)
            for operation in operations_of(route).values():
                path = f"/{route.path}"
                operation.check_path(PARAMETER.findall(path), path)
                operation.check_parameters(PARAMETER.findall(path), path)
                if operation.idempotency is not None:
                    _check_users(route, operation)
                    idempotent.append(operation.name)
        _answer_options(app, group)
    install_deprecations(app)
    install_limits(app)
    install_deadlines(app)
    if any(operation.responses.events for route in app.router.routes for operation in operations_of(route).values()):
        app.before_server_stop(end_event_streams)
    return (IdempotencyKeys(sorted(set(idempotent))),) if idempotent else ()


def _check_guards(route: Route) -> None:
    """Refuse the old name of `ctx_guards`, because a route whose guards do not run is open to everybody."""
    if hasattr(route.ctx, "rules"):
        raise SanicBaseError(f"/{route.path} has ctx_rules, which are ignored. Use ctx_guards.")


def _check_users(route: Route, operation: Operation) -> None:
    """Refuse an idempotent view whose users cannot be distinguished."""
    for guard in getattr(route.ctx, "guards", ()):
        if isinstance(guard, Authentication):
            check_identity(operation.name, guard.admit)


def _groups(app: App) -> Iterator[RouteGroup]:
    router = app.router
    for groups in (router.static_routes, router.dynamic_routes, router.regex_routes):
        yield from groups.values()


def _answer_options(app: App, group: RouteGroup) -> None:
    """Respond to OPTIONS for a path with a view, with the methods of all its routes."""
    first = next((route for route in group.routes if operations_of(route)), None)
    if first is None or "OPTIONS" in group.methods:
        return
    allowed = ", ".join(sorted({*group.methods, "OPTIONS"}))

    async def options(request: Request, **path: Any) -> HTTPResponse:
        return HTTPResponse(status=204, headers={"Allow": allowed})

    app.add_route(
        options,
        f"/{first.path}",
        methods=["OPTIONS"],
        name=f"{first.name.replace('.', '_')}_options",
        host=first.requirements.get("host"),
        strict_slashes=first.strict,
        unquote=first.unquote,
        error_format=ERROR_FORMAT,
        ctx_cors=getattr(first.ctx, "cors", None),
    )


def name_allowed_methods(app: App, request: AnyRequest, exception: BaseException) -> None:
    """Name the allowed methods in every 405 (RFC 9110, 15.5.6); Sanic omits them if the path has parameters."""
    if not isinstance(exception, MethodNotAllowed):
        return
    exception.args = (f"The method {printable(request.method)} is not allowed for this path.",)
    if "Allow" not in exception.headers:
        exception.headers = {**exception.headers, "Allow": ", ".join(sorted(methods_at(app, request)))}


def methods_at(app: App, request: AnyRequest) -> Iterator[str]:
    """The methods of the request's path."""
    return (method for method, _ in _routes_at(app, request, HTTP_METHODS))


def cors_at(app: App, request: AnyRequest) -> CORS | None:
    """The CORS rules of the view at the request's path; for a preflight, those of the method that it names, if there is
    one."""
    method = request.headers.get("access-control-request-method", request.method)
    routes = _routes_at(app, request, (method, *sorted(HTTP_METHODS)))
    return next((cors for _, route in routes if (cors := getattr(route.ctx, "cors", None)) is not None), None)


def _routes_at(app: App, request: AnyRequest, methods: Iterable[str]) -> Iterator[tuple[str, Route]]:
    for method in methods:
        with suppress(SanicException):
            yield method, app.router.get(request.path, method, request.headers.getone("host", None))[0]


def _both(app: App, blueprint: Blueprint) -> str:
    """The names of the two routes that collide."""
    registered = {_same(f"/{route.path}"): route.name for route in app.router.routes}
    for future in blueprint._future_routes:  # noqa: SLF001  (a blueprint that was not registered has no routes)
        path = _full_path(blueprint, future)
        other = registered.get(_same(path), "")
        if other and not other.endswith(f".{future.name}"):
            return f"{other} and {blueprint.name}.{future.name} at {path}"
    return f"one of {blueprint.name} and another one"


def _full_path(blueprint: Blueprint, future: Any) -> str:
    version = future.version or blueprint.version
    prefix = f"{future.version_prefix}{version}" if version else ""
    return f"{prefix}{blueprint.url_prefix or ''}{future.uri}".rstrip("/")


def _same(path: str) -> str:
    return re.sub(r"<\w+", "<", path.rstrip("/"))


def install_path_numbers(app: App) -> None:
    """Let `<number:int>` and `<ratio:float>` match numbers as JSON writes them, in this app only.

    Python's int and float accept `1_0`, ` 1` and `007` as well, so one resource would have many URLs.
    """
    app.router.register_pattern("int", _integer, f"^{INTEGER.pattern}$")
    app.router.register_pattern("float", _float, f"^{FLOAT.pattern}$")


def _integer(text: str) -> int:
    """The integer of a path segment. Raises ValueError; Sanic then tries another route."""
    if INTEGER.fullmatch(text) is None:
        raise ValueError(text)
    return int(text)


def _float(text: str) -> float:
    """The number of a path segment. Raises ValueError; Sanic then tries another route."""
    if FLOAT.fullmatch(text) is None:
        raise ValueError(text)
    return float(text)
