"""What every request begins with, and leaves in the logs: its id in each line, and its own where ACCESS_LOG is on."""

from __future__ import annotations

import re
from time import perf_counter

from sanic.request import Request
from sanic.response import BaseHTTPResponse

from sanicbase.db.routing import forget_writes
from sanicbase.log import log_access, set_log_context
from sanicbase.typing import App

__all__ = ["install_request_log"]

SOUND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def install_request_log(app: App, *, access: bool) -> None:
    """Have the log's lines name the request, and log each request when `access` is true.

    A client's X-Request-ID is taken over when it is sound; Sanic would take whatever it is.
    """
    header = app.config.REQUEST_ID_HEADER

    @app.signal("http.lifecycle.request")
    async def begin(request: Request) -> None:
        if not SOUND_ID.fullmatch(request.headers.get(header, "-")):
            del request.headers[header]
        request.ctx.begun = perf_counter()
        set_log_context(request_id=str(request.id), user="")
        forget_writes()  # of the request before on the same connection, which has the same task

    if access:

        @app.signal("http.lifecycle.response")
        async def end(request: Request, response: BaseHTTPResponse) -> None:
            body = getattr(response, "body", None)  # a stream has none
            begun = getattr(request.ctx, "begun", None)  # a request that could not be read never began
            log_access(
                request.client_ip,
                request.method,
                request.path,
                response.status,
                None if body is None else len(body),
                0.0 if begun is None else (perf_counter() - begun) * 1000,
            )
