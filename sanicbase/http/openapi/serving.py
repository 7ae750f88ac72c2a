"""`openapi.json`: the document, served by the service that it describes."""

from __future__ import annotations

from functools import cache

import orjson
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase.http.openapi.document import Info, document
from sanicbase.http.routes import operations_of
from sanicbase.typing import App

__all__ = ["install_openapi"]


def install_openapi(app: App, info: Info) -> None:
    """Serve the document at `/openapi.json`; an app without views has none. It is made when it is first asked for."""
    if not any(operations_of(route) for route in app.router.routes):
        return

    @cache
    def written() -> bytes:
        return orjson.dumps(document(app, info))

    async def openapi(request: Request) -> HTTPResponse:
        return HTTPResponse(written(), content_type="application/json")

    app.add_route(openapi, "/openapi.json", name="openapi", methods=["GET", "HEAD"])
