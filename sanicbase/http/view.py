"""APIView: Sanic's class-based view whose methods say by their signature what they take and what they return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from sanic import Blueprint
from sanic.request import Request
from sanic.views import HTTPMethodView

from sanicbase.errors import SanicBaseError
from sanicbase.http.deprecation import Deprecation
from sanicbase.http.operation import Operation
from sanicbase.http.routes import add_route
from sanicbase.http.rules import BEARER, Security, guards
from sanicbase.typing import App

__all__ = ["APIView"]

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


class APIView(HTTPMethodView):
    """A view whose methods return what they mean, and whose parameters are pydantic models and plain types.

        class ArticleAPI(BaseAPI):
            async def get(self, request: Request, article_id: int) -> ArticleRC: ...
            async def patch(self, request: Request, article_id: int, body: ArticlePatch, user: User) -> ArticleRC: ...
            async def post(self, request: Request, body: ArticleIn, user: User) -> Created[ArticleRC]: ...

        ArticleAPI.attach(blueprint, "/articles/<article_id:int>")

    See `sanicbase.http.signature` for the parameters. What does not fit is answered 422, and 400 where the query is a
    PageQuery or a KeysetQuery. What a method returns goes into the envelope, unless it is a response already.

    Nobody is let in unless the class overrides `admit`, or is open to everybody: `class NewsAPI(APIView, public=True)`.
    HEAD is answered by `get`, and OPTIONS with the methods that the path has.
    """

    operations: ClassVar[dict[str, Operation]] = {}
    """What each HTTP method takes and returns."""
    security: ClassVar[Security] = BEARER
    """How a client authenticates, as OpenAPI has it in `securitySchemes`: for the document and `WWW-Authenticate`."""
    _public: ClassVar[bool] = False

    def __init_subclass__(cls, *, public: bool | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        guarded = "admit" in vars(cls)
        if public and guarded:
            raise SanicBaseError(f"{cls.__name__} is public and has an admit: leave out one of the two.")
        if public is not None or guarded:
            cls._public = bool(public)
        cls.operations = dict(cls._understood())
        if "GET" in cls.operations and "HEAD" not in cls.operations:
            cls.operations["HEAD"] = cls.operations["GET"]
            cls.head = cls.get  # type: ignore[attr-defined]  # Sanic looks here for the methods of a view

    @classmethod
    def _understood(cls) -> Iterator[tuple[str, Operation]]:
        for name in METHODS:
            method = getattr(cls, name, None)
            if method is not None and method.__name__ == name:  # else it is a `head` that stands for `get`
                operation = Operation.of(f"{cls.__name__}.{name}", method, bound=True)
                operation.signature.check_method(name)
                yield name.upper(), operation

    @classmethod
    async def admit(cls, request: Request) -> object:
        """Override to say who may come in: raise Unauthorized or Forbidden, before the body is read.

        What it returns is the user, for the parameter of that name. None is nobody, who is answered 401 by a method
        that takes a `user`, and let in by any other.
        """
        return None

    @classmethod
    def attach(  # type: ignore[override]
        cls, to: App | Blueprint, uri: str, *, deprecated: Deprecation | None = None, **options: Any
    ) -> None:
        """Serve the view at that path, under its rule; `options` are those of Sanic's `add_route`.

        Raises SanicBaseError for a view that nobody is let into, and for one that does not take what the path names.
        """
        overridden = cls.admit.__func__ is not APIView.admit.__func__  # type: ignore[attr-defined]
        admit = None if cls._public or not overridden else cls.admit
        rules = guards(f"{cls.__name__} at {uri}", admit, cls._public, cls.operations, cls.security)
        add_route(
            to, cls.as_view(), uri, cls.operations, rules=rules, security=cls.security, deprecated=deprecated, **options
        )

    async def dispatch_request(self, request: Request, *args: Any, **path: Any) -> Any:
        """Called by Sanic for every request of the view's routes."""
        operation = self.operations[request.method]
        return await operation.respond(request, getattr(self, request.method.lower()))
