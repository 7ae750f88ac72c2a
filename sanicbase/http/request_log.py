"""The log of requests: the request's id in each line, and an access line where ACCESS_LOG is on."""

from __future__ import annotations

import re
from time import perf_counter

from sanic.response import BaseHTTPResponse

from sanicbase.db.routing import unpin_from_primary
from sanicbase.http.request import Request
from sanicbase.log import log_access, set_log_context
from sanicbase.server.context import App

__all__ = ["install_request_log"]

VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def install_request_log(app: App, *, access: bool) -> None:
    """Put the request's id into the log's lines, and log each request when `access` is true.

    A client's X-Request-ID is used when it is valid; Sanic would use any.
    """
    header = app.config.REQUEST_ID_HEADER

    @app.signal("http.lifecycle.request")
    async def start(request: Request) -> None:
        if not VALID_ID.fullmatch(request.headers.get(header, "-")):
            del request.headers[header]
        request.ctx.started = perf_counter()
        set_log_context(request_id=str(request.id), user="")
        unpin_from_primary()  # of the previous request on the same connection, which has the same task

    if access:

        @app.signal("http.lifecycle.response")
        async def finish(request: Request, response: BaseHTTPResponse) -> None:
            body = getattr(response, "body", None)  # a stream has none
            started = request.ctx.started
            log_access(
                request.client_ip,
                request.method,
                request.path,
                response.status,
                None if body is None else len(body),
                0.0 if started is None else (perf_counter() - started) * 1000,
            )
