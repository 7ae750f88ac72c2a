"""The routes of an app: adding one, and what is looked at when all of them are known."""

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
from sanic.request import Request
from sanic.response import HTTPResponse
from sanic_routing.exceptions import RouteExists
from sanic_routing.group import RouteGroup
from sanic_routing.route import Route

from sanicbase.errors import SanicBaseError
from sanicbase.http.deprecation import Deprecation, install_deprecations
from sanicbase.http.mistakes import printable
from sanicbase.http.operation import Operation
from sanicbase.http.rules import Rule, Security
from sanicbase.typing import App

__all__ = ["Exposed", "add_route", "finish_routes", "operations_of", "register"]

PARAMETER = re.compile(r"<(\w+)")


@dataclass(frozen=True, eq=False)  # eq=False: Sanic hashes what a route has in its context
class Exposed:
    """What a route's context says of the view behind it: its operations by method, and how a user is told there."""

    operations: Mapping[str, Operation]
    security: Security


def add_route(
    to: App | Blueprint,
    handler: Callable[..., Any],
    uri: str,
    operations: Mapping[str, Operation],
    *,
    rules: tuple[Rule, ...],
    security: Security,
    deprecated: Deprecation | None,
    **options: Any,
) -> None:
    """Serve the operations, which are by method, at that path. Raises SanicBaseError for one that lacks a parameter.

    Texts in the path are decoded (`%20` is a space), which Sanic leaves to the handler.
    """
    for operation in operations.values():
        operation.check_path(PARAMETER.findall(uri), uri)
    told = {"name": _free_name(to, handler.__name__, options.get("version")), "unquote": True, **options}
    exposed = Exposed(operations, security)
    to.add_route(handler, uri, ctx_rules=rules, ctx_exposed=exposed, ctx_deprecation=deprecated, **told)


def _free_name(to: App | Blueprint, name: str, version: object) -> str:
    """A name for the route, for Sanic wants each once, and a view may be at several paths."""
    taken = {route.name.rpartition(".")[2] for route in to._future_routes}  # noqa: SLF001  (Sanic shows them later)
    name = name if version is None else f"{name}_v{version}"
    return next(each for each in chain([name], (f"{name}_{number}" for number in count(2))) if each not in taken)


def operations_of(route: Route) -> Mapping[str, Operation]:
    """The operations behind a route, by method; none for a plain handler of Sanic's."""
    exposed: Exposed | None = getattr(route.ctx, "exposed", None)
    return exposed.operations if exposed is not None else {}


def register(app: App, blueprint: Blueprint) -> None:
    """Add the blueprint's routes to the app. Raises SanicBaseError, which names both, where two are the same."""
    try:
        app.blueprint(blueprint)
    except RouteExists as exc:
        raise SanicBaseError(f"Two routes are the same: {_both(app, blueprint)}. Give one another path.") from exc


def finish_routes(app: App) -> None:
    """Check the routes of the app now that all are known, and answer OPTIONS. Raises SanicBaseError."""
    for group in list(_groups(app)):
        for route in group.routes:
            for operation in operations_of(route).values():
                path = f"/{route.path}"
                operation.check_path(PARAMETER.findall(path), path)
                operation.check_parameters(PARAMETER.findall(path), path)
        _answer_options(app, group)
    install_deprecations(app)
    _install_allow(app)


def _groups(app: App) -> Iterator[RouteGroup]:
    router = app.router
    for groups in (router.static_routes, router.dynamic_routes, router.regex_routes):
        yield from groups.values()


def _answer_options(app: App, group: RouteGroup) -> None:
    """OPTIONS for a path of ours, with the methods that all its routes have together."""
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


def _install_allow(app: App) -> None:
    """Say in every 405 which methods there are (RFC 9110, 15.5.6); Sanic forgets them where a path has parameters."""

    @app.signal("http.lifecycle.exception")
    async def say_what_is_allowed(request: Request, exception: Exception) -> None:
        if isinstance(exception, MethodNotAllowed):
            exception.args = (f"This path does not have the method {printable(request.method)}.",)
        if isinstance(exception, MethodNotAllowed) and "Allow" not in exception.headers:
            exception.headers = {**exception.headers, "Allow": ", ".join(_methods_at(app, request))}


def _methods_at(app: App, request: Request) -> Iterator[str]:
    for method in sorted(HTTP_METHODS):
        with suppress(SanicException):
            app.router.get(request.path, method, request.headers.getone("host", None))
            yield method


def _both(app: App, blueprint: Blueprint) -> str:
    """The two routes that collide, by their names."""
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
