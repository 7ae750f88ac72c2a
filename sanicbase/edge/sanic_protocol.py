"""Sanic's own protocol, for EDGE = "sanic": it calls the app's response hooks and is otherwise unchanged."""

from __future__ import annotations

import asyncio
from typing import Any

from sanic import Sanic
from sanic.http import Http
from sanic.server.protocols.websocket_protocol import WebSocketProtocol

from sanicbase.edge.protocol import response_hooks

__all__ = ["SanicProtocol"]


class HookedHttp(Http):
    """Called by Sanic for each connection."""

    __slots__ = ()

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:
        """Called by Sanic for the first bytes of a response."""
        response: Any = self.response
        protocol: Any = self.protocol
        for hook in protocol.response_hooks:
            hook(self.request, response)
        if protocol.default_headers is not None:
            protocol.default_headers.add(self.request, response)
        await super().http1_response_header(data, end_stream)


class SanicProtocol(WebSocketProtocol):
    """Called by the event loop for each connection, and by Sanic."""

    HTTP_CLASS = HookedHttp

    __slots__ = ("default_headers", "response_hooks")

    def __init__(self, *, loop: asyncio.AbstractEventLoop, app: Sanic[Any, Any], **options: Any) -> None:
        super().__init__(loop=loop, app=app, **options)
        self.response_hooks = response_hooks(app)
        self.default_headers = getattr(app.ctx, "default_headers", None)
