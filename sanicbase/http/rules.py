"""The rules of a route, kept by one hook before the body is read and before a WebSocket is upgraded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sanic.request import Request

from sanicbase.typing import App

__all__ = ["Rule", "install_rules"]

Rule = Callable[[Request], Awaitable[None]]
"""Called with the request before the handler; it lets the request in by returning, and refuses it by raising one of
Sanic's exceptions. A route has its rules in its context: `add_route(handler, uri, ctx_rules=(signed_in,))`."""


def install_rules(app: App) -> None:
    """Keep the rules of every route of the app. A middleware would come too late: it runs after the body was read."""

    @app.signal("http.routing.after")
    async def keep_rules(request: Request, **context: Any) -> None:
        for rule in getattr(context["route"].ctx, "rules", ()):
            await rule(request)
