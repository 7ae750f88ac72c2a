"""Views: classes and functions whose signatures declare their input and output."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from sanic import Blueprint
from sanic.views import HTTPMethodView

from sanicbase.http.cors import CORS
from sanicbase.http.deadline import check_deadline
from sanicbase.http.deprecation import Deprecation
from sanicbase.http.guards import BEARER, Admission, Guard, GuardedView, Security, UserCheck, user_checks
from sanicbase.http.limits.rate_limit import Limits, as_limits
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

    See `sanicbase.http.parameters.signature` for the parameters. The response to invalid parameters is a 422, or a 400
    for a PageQuery or a KeysetQuery. The return value is put into the envelope, unless it is a response.

    Nobody is admitted unless the class overrides `admit` or is public: `class NewsAPI(APIView, public=True)`. `get`
    also handles HEAD, and OPTIONS returns the methods of the path. `deadline` is the maximum time until a response
    begins, in seconds: `class ReportAPI(BaseAPI, deadline=5)`.
    """

    operations: ClassVar[dict[str, Operation]] = {}
    """The operation of each HTTP method."""
    _deadline: ClassVar[float | None] = None

    def __init_subclass__(cls, *, deadline: float | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if deadline is not None:
            cls._deadline = check_deadline(cls.__name__, deadline)
        cls.operations = dict(cls._operations())
        if "GET" in cls.operations and "HEAD" not in cls.operations:
            cls.operations["HEAD"] = cls.operations["GET"]
            cls.head = cls.get  # type: ignore[attr-defined]  # Sanic looks here for the methods of a view

    @classmethod
    def _operations(cls) -> Iterator[tuple[str, Operation]]:
        for name in METHODS:
            method = getattr(cls, name, None)
            if method is not None and method.__name__ == name:  # otherwise it is a `head` that stands for `get`
                operation = Operation.of(f"{cls.__name__}.{name}", method, bound=True)
                operation.check_method(name)
                yield name.upper(), operation

    @classmethod
    def attach(  # type: ignore[override]
        cls,
        to: App | Blueprint,
        uri: str,
        *,
        deprecated: Deprecation | None = None,
        compress: bool = True,
        **options: Any,
    ) -> None:
        """Serve the view at that path, behind its guard; `options` are those of Sanic's `add_route`.

        `compress=False` disables COMPRESSION for its responses, for example if they contain secrets.

        Raises SanicBaseError for a view that admits nobody, and for one that lacks a parameter of the path.
        """
        guards = _guards(cls._admission(), f"{cls.__name__} at {uri}", cls.operations, user_checks(cls))
        add_route(
            to,
            cls.as_view(),
            uri,
            cls.operations,
            guards=guards,
            security=cls.security,
            unlimited=cls._limits == (),
            deadline=cls._deadline,
            deprecated=deprecated,
            compress=compress,
            **{"ctx_cors": cls._cors, **options},
        )

    def dispatch_request(  # type: ignore[override]  # Sanic annotates the request of its own default
        self, request: Request, *args: Any, **path: Any
    ) -> Awaitable[Any]:
        """Called by Sanic for every request of the view's routes; it awaits what this returns."""
        method = request.method
        return self.operations[method].respond(request, getattr(self, method.lower()))


def endpoint(
    *,
    admit: Guard | None = None,
    public: bool = False,
    security: Security = BEARER,
    cors: CORS | None = None,
    limit: Limits | None = None,
    deadline: float | None = None,
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Make an async function a view, with the parameters and return types of a method of an APIView.

        @endpoint(public=True)
        async def search(request: Request, text: Annotated[str, Query(alias="q")]) -> list[Hit]: ...

        search.attach(blueprint, "/search")

    `admit` decides who may use it, like that of an APIView; either `admit` or `public=True` is required. `security` and
    `cors` are those of APIView, `limit` has its rate limits, and `deadline` is in seconds. Raises SanicBaseError.
    """
    limits = None if limit is None else as_limits(limit)
    return lambda function: Endpoint(
        function,
        Admission(admit, public, security, limits, f"{function.__module__}.{function.__qualname__}"),
        cors,
        check_deadline(function.__name__, deadline),
    )


class Endpoint:
    """A function that can be attached to paths; `name` is its own."""

    def __init__(
        self,
        function: Callable[..., Any],
        admission: Admission,
        cors: CORS | None = None,
        deadline: float | None = None,
    ) -> None:
        self.name = function.__name__
        self._operation = Operation.of(function.__name__, function)
        self._admission = admission
        self._cors = cors
        self._deadline = deadline

    def attach(
        self,
        to: App | Blueprint,
        uri: str,
        *,
        methods: Sequence[str] = ("GET",),
        deprecated: Deprecation | None = None,
        compress: bool = True,
        **options: Any,
    ) -> None:
        """Serve the function at that path, behind its guard; `options` are those of Sanic's `add_route`, and `compress`
        is that of APIView."""
        operation = self._operation
        for method in methods:
            operation.check_method(method)
        operations = dict.fromkeys((*methods, *(("HEAD",) if "GET" in methods else ())), operation)

        def handler(request: Request, **path: Any) -> Awaitable[Any]:
            return operation.respond(request, operation.function)

        handler.__name__ = operation.name
        handler.__doc__ = operation.function.__doc__
        add_route(
            to,
            handler,
            uri,
            operations,
            guards=_guards(self._admission, f"{operation.name} at {uri}", operations),
            security=self._admission.security,
            unlimited=self._admission.limits == (),
            deadline=self._deadline,
            deprecated=deprecated,
            compress=compress,
            **{"methods": tuple(operations), "ctx_cors": self._cors, **options},
        )


def _guards(
    admission: Admission, name: str, operations: Mapping[str, Operation], checks: tuple[UserCheck, ...] = ()
) -> tuple[Guard, ...]:
    """The guards of a view with these operations, by method, and these checks of its own. Raises SanicBaseError."""
    return admission.guards(
        name,
        takes_user=next((operation.name for operation in operations.values() if operation.takes_user), ""),
        methods_for_users={method for method, operation in operations.items() if operation.requires_user},
        checks={method: (*checks, *user_checks(operation.function)) for method, operation in operations.items()},
    )
