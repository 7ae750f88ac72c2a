"""Views: classes and functions that say by their signatures what they take and what they return."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from sanic import Blueprint
from sanic.views import HTTPMethodView

from sanicbase.http.deprecation import Deprecation
from sanicbase.http.guards import BEARER, Admission, Guard, GuardedView, Security
from sanicbase.http.operation import Operation
from sanicbase.http.request import Request
from sanicbase.http.routes import add_route
from sanicbase.server.context import App

__all__ = ["APIView", "Endpoint", "endpoint"]

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


class APIView(GuardedView, HTTPMethodView):
    """A class-based view. Its methods return data, and their parameters are pydantic models and plain types.

        class ArticleAPI(BaseAPI):
            async def get(self, request: Request, article_id: int) -> ArticleRC: ...
            async def patch(self, request: Request, article_id: int, body: ArticlePatch, user: User) -> ArticleRC: ...
            async def post(self, request: Request, body: ArticleIn, user: User) -> Created[ArticleRC]: ...

        ArticleAPI.attach(blueprint, "/articles/<article_id:int>")

    See `sanicbase.http.parameters.signature` for the parameters. Invalid parameters are answered 422, and 400 where the
    query is a PageQuery or a KeysetQuery. What a method returns goes into the envelope, unless it is a response.

    Nobody is admitted unless the class overrides `admit` or is public: `class NewsAPI(APIView, public=True)`. HEAD is
    answered by `get`, and OPTIONS with the methods that the path has.
    """

    operations: ClassVar[dict[str, Operation]] = {}
    """What each HTTP method takes and returns."""

    def __init_subclass__(cls, *, public: bool | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(public=public, **kwargs)
        cls.operations = dict(cls._operations())
        if "GET" in cls.operations and "HEAD" not in cls.operations:
            cls.operations["HEAD"] = cls.operations["GET"]
            cls.head = cls.get  # type: ignore[attr-defined]  # Sanic looks here for the methods of a view

    @classmethod
    def _operations(cls) -> Iterator[tuple[str, Operation]]:
        for name in METHODS:
            method = getattr(cls, name, None)
            if method is not None and method.__name__ == name:  # else it is a `head` that stands for `get`
                operation = Operation.of(f"{cls.__name__}.{name}", method, bound=True)
                operation.signature.check_method(name)
                yield name.upper(), operation

    @classmethod
    def attach(  # type: ignore[override]
        cls, to: App | Blueprint, uri: str, *, deprecated: Deprecation | None = None, **options: Any
    ) -> None:
        """Serve the view at that path, behind its guard; `options` are those of Sanic's `add_route`.

        Raises SanicBaseError for a view that admits nobody, and for one that does not take what the path names.
        """
        guards = _guards(cls._admission(), f"{cls.__name__} at {uri}", cls.operations)
        add_route(
            to,
            cls.as_view(),
            uri,
            cls.operations,
            guards=guards,
            security=cls.security,
            deprecated=deprecated,
            **options,
        )

    async def dispatch_request(  # type: ignore[override]  # Sanic annotates the request of its own default
        self, request: Request, *args: Any, **path: Any
    ) -> Any:
        """Called by Sanic for every request of the view's routes."""
        operation = self.operations[request.method]
        return await operation.respond(request, getattr(self, request.method.lower()))


def endpoint(
    *, admit: Guard | None = None, public: bool = False, security: Security = BEARER
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Make a view of an async function. It takes and returns what a method of an APIView does.

        @endpoint(public=True)
        async def search(request: Request, text: Annotated[str, Query(alias="q")]) -> list[Hit]: ...

        search.attach(blueprint, "/search")

    `admit` says who may use it, as APIView's does; either that or `public=True` must be given. `security` is that of
    APIView. Raises SanicBaseError.
    """
    return lambda function: Endpoint(function, Admission(admit, public, security))


class Endpoint:
    """A function that can be attached to paths; `name` is its own."""

    def __init__(self, function: Callable[..., Any], admission: Admission) -> None:
        self.name = function.__name__
        self._operation = Operation.of(function.__name__, function)
        self._admission = admission

    def attach(
        self,
        to: App | Blueprint,
        uri: str,
        *,
        methods: Sequence[str] = ("GET",),
        deprecated: Deprecation | None = None,
        **options: Any,
    ) -> None:
        """Serve the function at that path, behind its guard; `options` are those of Sanic's `add_route`."""
        operation = self._operation
        for method in methods:
            operation.signature.check_method(method)
        operations = dict.fromkeys((*methods, *(("HEAD",) if "GET" in methods else ())), operation)

        async def handler(request: Request, **path: Any) -> Any:
            return await operation.respond(request, operation.function)

        handler.__name__ = operation.name
        handler.__doc__ = operation.function.__doc__
        add_route(
            to,
            handler,
            uri,
            operations,
            guards=_guards(self._admission, f"{operation.name} at {uri}", operations),
            security=self._admission.security,
            deprecated=deprecated,
            **{"methods": tuple(operations), **options},
        )


def _guards(admission: Admission, name: str, operations: Mapping[str, Operation]) -> tuple[Guard, ...]:
    """The guards of a view with these operations, by method. Raises SanicBaseError."""
    return admission.guards(
        name,
        takes_user=next((operation.name for operation in operations.values() if operation.takes_user), ""),
        methods_for_users={method for method, operation in operations.items() if operation.requires_user},
    )
