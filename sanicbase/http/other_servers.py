"""Servers that `sanicbase.edge` is no part of: HTTP/3, which Sanic serves by itself, and those of ASGI.

Their responses get what the edge gives to its own: the default headers, and what response hooks change.
"""

from __future__ import annotations

from sanic.compat import Header
from sanic.http import Http
from sanic.http.constants import HTTP
from sanic.response import BaseHTTPResponse

from sanicbase.http.request import AnyRequest
from sanicbase.server.context import App

__all__ = ["complete_response", "complete_responses", "has_other_server"]


def has_other_server(app: App) -> bool:
    """Whether the app, which is about to start, is served by ASGI or by HTTP/3 as well."""
    return app.asgi or bool(_http3_ports(app))


def complete_responses(app: App) -> None:
    """Complete the responses of these servers, and announce HTTP/3 in those of HTTP/1.1 (RFC 7838)."""
    announcement = ", ".join(f'h3=":{port}"' for port in _http3_ports(app))

    async def complete(request: AnyRequest, response: BaseHTTPResponse) -> None:
        complete_response(request, response)
        if announcement and isinstance(request.stream, Http):
            response.headers.setdefault("alt-svc", announcement)

    app.register_middleware(complete, "response")


def complete_response(request: AnyRequest, response: BaseHTTPResponse) -> None:
    """Complete a response of one of these servers before it is sent. It does nothing for those of the edge."""
    if isinstance(request.stream, Http):
        return
    context = request.app.ctx
    for hook in context.response_hooks:
        hook(request, response)
    if context.default_headers is not None:
        context.default_headers.add(request, response)
    if request.version == "3":
        _adapt_to_http3(response)


def _http3_ports(app: App) -> list[int]:
    return [info.settings["port"] for info in app.state.server_info if info.settings["version"] is HTTP.VERSION_3]


def _adapt_to_http3(response: BaseHTTPResponse) -> None:
    """Sanic sends the names of headers as they are written, and calls an empty body chunked. Clients close the whole
    connection for a capital letter, and for that header (RFC 9114, 4.2)."""
    if not response.body:
        response.headers.setdefault("content-length", "0")
    response.headers = Header((name.lower(), value) for name, value in response.headers.items())
