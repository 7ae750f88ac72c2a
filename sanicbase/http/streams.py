"""Streams that fail midway: the connection is closed without the last chunk, so the client notices (RFC 9112, 8).

Sanic ends such a stream as if it were complete, and logs the failure three times or, for a timeout, not at all.
"""

from __future__ import annotations

import logging
import socket
import struct
from asyncio import CancelledError

from sanic import Sanic
from sanic.config import Config as SanicConfig
from sanic.exceptions import RequestCancelled
from sanic.http import Http, Stage

from sanicbase.http.errors.mapping import LogPolicy, describe, log_policy
from sanicbase.http.request import AnyRequest, Request
from sanicbase.server.context import App, ServiceContext

__all__ = ["StreamingApp", "install_streams"]

logger = logging.getLogger("sanicbase.http")

LAST_PRIORITY = -1000  # after the service's own handlers of the signal
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class StreamBroken(RequestCancelled):
    """Ends Sanic's handling of a request whose stream is broken, before Sanic sends the last chunk."""


class StreamingApp(Sanic[SanicConfig, ServiceContext]):
    """A Sanic app that also breaks the streams of handlers that are cancelled or time out."""

    async def handle_request(self, request: AnyRequest) -> None:
        """Called by Sanic for every request."""
        try:
            await super().handle_request(request)
        except StreamBroken:
            raise
        except CancelledError as exc:
            if _stage(request) is Stage.RESPONSE:
                _log_cancelled(request, exc)
                _close(request)
            raise


def install_streams(app: App) -> None:
    """Break the stream of a handler that fails after a part of its response was sent."""

    @app.signal("http.lifecycle.exception", priority=LAST_PRIORITY)
    async def break_stream(request: Request, exception: BaseException) -> None:
        stage = _stage(request)
        if stage in (None, Stage.HANDLER):
            return
        whole = "all" if stage is Stage.IDLE else "a part"
        if log_policy(exception) is LogPolicy.TRACEBACK:
            logger.error(
                "%s %s failed after %s of its response was sent.",
                request.method,
                request.path,
                whole,
                exc_info=exception,
            )
        else:
            logger.warning(
                "%s %s failed after %s of its response was sent. %s",
                request.method, request.path, whole, describe(exception),
            )  # fmt: skip
        _close(request)
        raise StreamBroken


def _client_is_gone(request: AnyRequest) -> bool:
    """Whether the connection of the request is closed already."""
    return request.transport.is_closing() or (request.conn_info is not None and request.conn_info.lost)


def _log_cancelled(request: AnyRequest, error: CancelledError) -> None:
    if _client_is_gone(request):
        logger.info("%s %s: the client closed the connection during the response.", request.method, request.path)
        return
    timeout = request.stream.exception if isinstance(request.stream, Http) else None
    logger.warning(
        "%s %s was cancelled after a part of its response was sent. %s",
        request.method, request.path, describe(timeout or error),
    )  # fmt: skip


def _stage(request: AnyRequest) -> Stage | None:
    return request.stream.stage if request.stream is not None else None


def _close(request: AnyRequest) -> None:
    """Send what is written, then close. A client of HTTP/1.0 takes a closed connection for the end of the
    response, unless the connection is reset."""
    if _client_is_gone(request):
        return
    if request.version == "1.0" and _stage(request) is Stage.RESPONSE:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    if request.stream is not None:
        request.stream.protocol.close()
