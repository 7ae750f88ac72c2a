"""Streams that fail midway: the connection is closed without the last chunk, so the client notices (RFC 9112, 8).

Sanic ends such a stream as if it were complete, and logs the failure three times or, for a timeout, not at all.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError
from typing import NoReturn

from sanic.exceptions import RequestCancelled
from sanic.http import Http, Stage

from sanicbase.edge.sockets import discard_unsent_on_close
from sanicbase.http.errors.mapping import LogPolicy, describe, log_policy
from sanicbase.http.request import AnyRequest

__all__ = ["StreamBroken", "break_stream", "cut_cancelled_stream", "stage_of"]

logger = logging.getLogger("sanicbase.http")


class StreamBroken(RequestCancelled):
    """Ends Sanic's handling of a request whose stream is broken, before Sanic sends the last chunk."""


def break_stream(request: AnyRequest, exception: BaseException) -> NoReturn:
    """Break the stream of a handler that failed after part of its response was sent. Raises StreamBroken."""
    whole = "all" if stage_of(request) is Stage.IDLE else "a part"
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


def cut_cancelled_stream(request: AnyRequest, error: CancelledError) -> None:
    """Break the stream of a handler that was cancelled or timed out, if part of its response was sent."""
    if stage_of(request) is Stage.RESPONSE:
        _log_cancelled(request, error)
        _close(request)


def stage_of(request: AnyRequest) -> Stage | None:
    """The stage of the response, which is HANDLER before it begins; None for a request without a connection."""
    return request.stream.stage if request.stream is not None else None


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


def _close(request: AnyRequest) -> None:
    """Send what is written, then close the connection. A client of HTTP/1.0 takes a closed connection for the end of
    the response, so its connection is reset."""
    if _client_is_gone(request):
        return
    if request.version == "1.0" and stage_of(request) is Stage.RESPONSE:
        discard_unsent_on_close(request.transport)
    if request.stream is not None:
        request.stream.protocol.close()
