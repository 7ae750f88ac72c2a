"""The routes of an app: adding them, the checks once all are added, and the types of path parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
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
from sanicbase.http.deprecation import Deprecation, install_deprecations
from sanicbase.http.errors.exceptions import printable
from sanicbase.http.guards import Guard, Security
from sanicbase.http.operation import Operation
from sanicbase.http.request import AnyRequest, Request
from sanicbase.server.context import App

__all__ = [
    "RouteSpec",
    "add_route",
    "finish_routes",
    "install_path_numbers",
    "name_allowed_methods",
    "operations_of",
    "register",
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
    deprecated: Deprecation | None,
    **options: Any,
) -> None:
    """Serve the operations, by method, at that path. Raises SanicBaseError for one that lacks a parameter of the path.

    TextParameters in the path are decoded (`%20` is a space), which Sanic leaves to the handler.
    """
    for operation in operations.values():
        operation.check_path(PARAMETER.findall(uri), uri)
    name = _free_name(to, handler.__name__, options.get("version"))
    options = {"name": name, "unquote": True, **options}
    spec = RouteSpec(operations, security)
    to.add_route(handler, uri, ctx_guards=guards, ctx_spec=spec, ctx_deprecation=deprecated, **options)


def _free_name(to: App | Blueprint, name: str, version: object) -> str:
    """A name for the route that no other has, because Sanic refuses a second one, and a view may have several paths."""
    taken = {route.name.rpartition(".")[2] for route in to._future_routes}  # noqa: SLF001  (Sanic shows them later)
    name = name if version is None else f"{name}_v{version}"
    candidates = chain([name], (f"{name}_{number}" for number in count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)


def operations_of(route: Route) -> Mapping[str, Operation]:
    """The operations behind a route, by method; none for a plain handler of Sanic's."""
    spec: RouteSpec | None = getattr(route.ctx, "spec", None)
    return spec.operations if spec is not None else {}


def register(app: App, blueprint: Blueprint) -> None:
    """Add the blueprint's routes to the app. Raises SanicBaseError, which names both, where two are the same."""
    try:
        app.blueprint(blueprint)
    except RouteExists as exc:
        raise SanicBaseError(
            f"Two routes have the same path: {_both(app, blueprint)}. Change one of the paths."
        ) from exc


def finish_routes(app: App) -> None:
    """Check the routes of the app once all are added, and answer OPTIONS. Raises SanicBaseError."""
    for group in list(_groups(app)):
        for route in group.routes:
            _check_guards(route)
            for operation in operations_of(route).values():
                path = f"/{route.path}"
                operation.check_path(PARAMETER.findall(path), path)
                operation.check_parameters(PARAMETER.findall(path), path)
        _answer_options(app, group)
    install_deprecations(app)


def _check_guards(route: Route) -> None:
    """Refuse the former name of `ctx_guards`, because a route whose guards do not run is open to everybody."""
    if hasattr(route.ctx, "rules"):
        raise SanicBaseError(f"/{route.path} has ctx_rules, which are ignored. Use ctx_guards.")


def _groups(app: App) -> Iterator[RouteGroup]:
    router = app.router
    for groups in (router.static_routes, router.dynamic_routes, router.regex_routes):
        yield from groups.values()


def _answer_options(app: App, group: RouteGroup) -> None:
    """Answer OPTIONS for a path with a view, with the methods of all its routes."""
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
    )


def name_allowed_methods(app: App, request: AnyRequest, exception: BaseException) -> None:
    """Name the allowed methods in every 405 (RFC 9110, 15.5.6); Sanic forgets them where a path has parameters."""
    if not isinstance(exception, MethodNotAllowed):
        return
    exception.args = (f"The method {printable(request.method)} is not allowed for this path.",)
    if "Allow" not in exception.headers:
        exception.headers = {**exception.headers, "Allow": ", ".join(_methods_at(app, request))}


def _methods_at(app: App, request: AnyRequest) -> Iterator[str]:
    for method in sorted(HTTP_METHODS):
        with suppress(SanicException):
            app.router.get(request.path, method, request.headers.getone("host", None))
            yield method


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
    """Have `<number:int>` and `<ratio:float>` match numbers as JSON writes them, in this app only.

    Python's int and float take `1_0`, ` 1` and `007` as well, so one resource would have many URLs.
    """
    app.router.register_pattern("int", _integer, f"^{INTEGER.pattern}$")
    app.router.register_pattern("float", _float, f"^{FLOAT.pattern}$")


def _integer(text: str) -> int:
    """The integer of a path segment. Raises ValueError, and then Sanic tries another route."""
    if INTEGER.fullmatch(text) is None:
        raise ValueError(text)
    return int(text)


def _float(text: str) -> float:
    """The number of a path segment. Raises ValueError, and then Sanic tries another route."""
    if FLOAT.fullmatch(text) is None:
        raise ValueError(text)
    return float(text)
