"""APIView: Sanic's class-based view whose methods say by their signature what they take and what they return."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError
from sanic import Blueprint
from sanic.request import Request
from sanic.response import BaseHTTPResponse
from sanic.views import HTTPMethodView

from sanicbase.db.pages import ListQuery
from sanicbase.errors import SanicBaseError
from sanicbase.http.envelope import success
from sanicbase.http.errors import InvalidParameters
from sanicbase.typing import App

__all__ = ["APIView"]

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


@dataclass(frozen=True)
class Parameters:
    """What a method takes besides the request and the path: models for `body` and `query`."""

    body: type[BaseModel] | None
    query: type[BaseModel] | None

    def parse(self, request: Request) -> dict[str, BaseModel]:
        """The arguments of a request. Raises InvalidParameters, or InvalidQuery for what is asked of a list."""
        arguments: dict[str, BaseModel] = {}
        where = "body"
        try:
            if self.body is not None:
                arguments["body"] = self.body.model_validate_json(request.body)
            where = "query"
            if self.query is not None and issubclass(self.query, ListQuery):
                arguments["query"] = self.query.parse(request.get_args(keep_blank_values=True))
            elif self.query is not None:
                values = {name: many if len(many) > 1 else many[0] for name, many in request.args.items()}
                arguments["query"] = self.query.model_validate(values)
        except ValidationError as exc:
            raise InvalidParameters(exc, where) from exc
        return arguments


class APIView(HTTPMethodView):
    """A view whose methods return what they mean, and whose parameters are pydantic models.

        class ArticleAPI(APIView):
            async def get(self, request: Request, article_id: int) -> ArticleRC: ...
            async def patch(self, request: Request, article_id: int, body: ArticlePatch) -> ArticleRC: ...

        ArticleAPI.attach(blueprint, "/articles/<article_id:int>")

    `body` is the JSON body and `query` the query string, each a pydantic model; what does not fit is answered 422, and
    400 where the query is a PageQuery or a KeysetQuery.
    What a method returns goes into the envelope, unless it is a response already.
    """

    _parameters: dict[str, Parameters] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        methods = {name: method for name in METHODS if (method := getattr(cls, name, None)) is not None}
        cls._parameters = {name: _understand(cls, method) for name, method in methods.items()}

    @classmethod
    async def admit(cls, request: Request) -> None:
        """Override to say who may come in: raise Unauthorized or Forbidden, before the body is read."""

    @classmethod
    def attach(cls, to: App | Blueprint, uri: str, **options: Any) -> None:  # type: ignore[override]
        """Serve the view at that path, under its rules; `options` are those of Sanic's `add_route`."""
        to.add_route(cls.as_view(), uri, ctx_rules=(cls.admit,), **options)

    async def dispatch_request(self, request: Request, *args: Any, **path: Any) -> BaseHTTPResponse:
        """Called by Sanic for every request of the view's routes."""
        method = request.method.lower()
        arguments = self._parameters[method].parse(request)
        result = await getattr(self, method)(request, **path, **arguments)
        return result if isinstance(result, BaseHTTPResponse) else success(result)


def _understand(view: type[APIView], method: Any) -> Parameters:
    hints = get_type_hints(method)
    models: dict[str, type[BaseModel] | None] = {"body": None, "query": None}
    for name in models.keys() & inspect.signature(method).parameters.keys():
        hint = hints.get(name)
        if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
            raise SanicBaseError(f"{view.__name__}.{method.__name__}: annotate {name!r} with a pydantic model.")
        models[name] = hint
    return Parameters(**models)
