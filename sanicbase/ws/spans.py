"""The spans of a WebSocket: of the handshake, and of each message.

A connection may last for days, so its messages are not below the handshake: each is a trace of its own, sampled on its
own, and linked with the handshake.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from sanicbase.http.request import Request
from sanicbase.http.request_metrics import route_template
from sanicbase.http.tracing import end_request_span
from sanicbase.tracing import current_recorder, sampled_recorder

__all__ = ["SocketTrace"]


class SocketTrace:
    """Records the hooks of one WebSocket."""

    def __init__(self, request: Request) -> None:
        self._route = "" if request.route is None else route_template(request.route.path)
        recorder = sampled_recorder()
        self._handshake = "" if recorder is None else recorder.carried()
        end_request_span(request, HTTPStatus.SWITCHING_PROTOCOLS)

    @classmethod
    def of(cls, request: Request) -> SocketTrace | None:
        """Ends the span of the handshake, which has succeeded. None if this process does not trace."""
        return None if current_recorder() is None else cls(request)

    async def connect(self, on_connect: Callable[[], Awaitable[None]]) -> None:
        """Call `on_connect`, in the trace of the handshake."""
        recorder = current_recorder()
        if recorder is None or not self._handshake:
            await on_connect()
            return
        with recorder.root(f"connect {self._route}", "internal", self._attributes, parent=self._handshake):
            await on_connect()

    async def handle(self, on_message: Callable[[str | bytes], Awaitable[None]], message: str | bytes) -> None:
        """Call `on_message`, in a trace of its own."""
        recorder = current_recorder()
        if recorder is None:
            await on_message(message)
            return
        with recorder.root(f"message {self._route}", "server", self._attributes, link=self._handshake):
            await on_message(message)

    @property
    def _attributes(self) -> dict[str, str]:
        return {"http.route": self._route, "network.protocol.name": "websocket"}
