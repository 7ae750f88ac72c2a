"""endpoint: a plain async function as a view, on the same ground as APIView."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sanic import Blueprint
from sanic.request import Request

from sanicbase.http.deprecation import Deprecation
from sanicbase.http.operation import Operation
from sanicbase.http.routes import add_route
from sanicbase.http.rules import BEARER, Rule, Security, guards
from sanicbase.typing import App

__all__ = ["Endpoint", "endpoint"]


def endpoint(
    *, admit: Rule | None = None, public: bool = False, security: Security = BEARER
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Make a view of an async function. Its parameters and what it returns are as an APIView's methods have them.

        @endpoint(public=True)
        async def search(request: Request, text: Annotated[str, Query(alias="q")]) -> list[Hit]: ...

        search.attach(blueprint, "/search")

    `admit` says who may come in, as APIView's does; either that or `public=True` must be given. `security` is
    that of APIView. Raises SanicBaseError.
    """
    return lambda function: Endpoint(function, admit, public, security)


class Endpoint:
    """A function that can be attached to paths; `name` is its own."""

    def __init__(self, function: Callable[..., Any], admit: Rule | None, public: bool, security: Security) -> None:
        self.name = function.__name__
        self._operation = Operation.of(function.__name__, function)
        self._admit = admit
        self._public = public
        self._security = security

    def attach(
        self,
        to: App | Blueprint,
        uri: str,
        *,
        methods: Sequence[str] = ("GET",),
        deprecated: Deprecation | None = None,
        **options: Any,
    ) -> None:
        """Serve the function at that path, under its rule; `options` are those of Sanic's `add_route`."""
        operation = self._operation
        for method in methods:
            operation.signature.check_method(method)
        operations = dict.fromkeys((*methods, *(("HEAD",) if "GET" in methods else ())), operation)
        rules = guards(f"{operation.name} at {uri}", self._admit, self._public, operations, self._security)

        async def handler(request: Request, **path: Any) -> Any:
            return await operation.respond(request, operation.function)

        handler.__name__ = operation.name
        handler.__doc__ = operation.function.__doc__
        options = {"methods": tuple(operations), **options}
        add_route(to, handler, uri, operations, rules=rules, security=self._security, deprecated=deprecated, **options)
