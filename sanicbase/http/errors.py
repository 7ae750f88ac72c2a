"""Every error of a service, in the envelope."""

from __future__ import annotations

import logging

from pydantic import ValidationError
from sanic.exceptions import SanicException
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase.http.envelope import failure
from sanicbase.typing import App

__all__ = ["install_error_handlers"]

logger = logging.getLogger("sanicbase.http")

SERVER_ERROR = 500


class InvalidParameters(SanicException):
    """What the client sent does not fit the view's parameters: 422, with a list of `{path, code, message}`."""

    status_code = 422
    quiet = True

    def __init__(self, error: ValidationError, where: str) -> None:
        super().__init__("The parameters are not valid.")
        self.mistakes = [
            {
                "path": ".".join([where, *(str(part) for part in mistake["loc"])]),
                "code": mistake["type"],
                "message": mistake["msg"],
            }
            for mistake in error.errors(include_url=False, include_context=False, include_input=False)
        ]


def install_error_handlers(app: App) -> None:
    """Answer every exception of the app in the envelope."""
    app.error_handler.add(Exception, _answer)


async def _answer(request: Request, error: Exception) -> HTTPResponse:
    if isinstance(error, InvalidParameters):
        return failure(error.status_code, str(error), error.mistakes)
    if isinstance(error, SanicException) and error.status_code < SERVER_ERROR:
        return failure(error.status_code, str(error), headers=dict(error.headers))
    # Whoever asked learns nothing but the request's id; the log has the rest.
    logger.error("%s %s failed.", request.method, request.path, exc_info=error)
    status = error.status_code if isinstance(error, SanicException) else SERVER_ERROR
    return failure(status, "The service failed to answer. Its log has the reason.", {"request_id": str(request.id)})
