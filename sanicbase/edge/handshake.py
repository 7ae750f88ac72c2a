"""The response to a WebSocket handshake for a service that compresses messages. Other services use Sanic's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sanic.exceptions import SanicException
from sanic.log import websockets_logger
from sanic.request import Request
from sanic.server.protocols.websocket_protocol import WebSocketProtocol
from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from sanicbase.edge.deflate import extension

__all__ = ["shake_hands"]


async def shake_hands(
    protocol: WebSocketProtocol, request: Request[Any, Any], subprotocols: Sequence[str] | None
) -> WebsocketImplProtocol:
    """What `WebSocketProtocol.websocket_handshake` does, with permessage-deflate for a client that offers it.

    Raises SanicException with the status of the response if the handshake is refused.
    """
    server = ServerProtocol(
        extensions=[extension()],
        subprotocols=None if subprotocols is None else [Subprotocol(name) for name in subprotocols],
        max_size=protocol.websocket_max_size,
        state=State.OPEN,
        logger=websockets_logger,
    )
    response = server.accept(protocol.sanic_request_to_ws_request(request))
    if response.status_code != 101:
        raise SanicException(bytes(response.body).decode(), response.status_code)
    await protocol.send(response.serialize())
    websocket = WebsocketImplProtocol(
        server,
        ping_interval=protocol.websocket_ping_interval,
        ping_timeout=protocol.websocket_ping_timeout,
        close_timeout=protocol.websocket_timeout,
    )
    protocol.websocket = websocket
    await websocket.connection_made(protocol, loop=protocol.loop)
    return websocket
