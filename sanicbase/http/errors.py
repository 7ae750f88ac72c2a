"""Every error of a service, in the envelope."""

from __future__ import annotations

import logging

import tortoise.exceptions
from pydantic import ValidationError
from sanic.exceptions import SanicException
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase.db.errors import (
    DatabaseTimeout,
    DatabaseUnavailable,
    DeadlockError,
    IntegrityError,
    NotFoundError,
    SerializationError,
    StaleVersionError,
)
from sanicbase.errors import InvalidInput, InvalidQuery
from sanicbase.http.envelope import failure
from sanicbase.typing import App

__all__ = ["install_error_handlers"]

logger = logging.getLogger("sanicbase.http")

BAD_REQUEST, NOT_FOUND, CONFLICT, UNPROCESSABLE, SERVER_ERROR, UNAVAILABLE = 400, 404, 409, 422, 500, 503
RETRY_AFTER = "1"  # seconds
PASSING = (DatabaseUnavailable, DatabaseTimeout, SerializationError, DeadlockError)


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
    if isinstance(error, InvalidInput):
        status = BAD_REQUEST if isinstance(error, InvalidQuery) else UNPROCESSABLE
        mistakes = [{"path": each.path, "code": each.code, "message": str(each)} for each in error.mistakes]
        return failure(status, "The parameters are not valid.", mistakes)
    if isinstance(error, tortoise.exceptions.ValidationError):  # of a model that is not a DBModel: "slug: …"
        path = str(error).partition(":")[0]
        mistake = {"path": path, "code": "invalid", "message": f"{path!r} is not valid."}
        return failure(UNPROCESSABLE, "The parameters are not valid.", [mistake])
    if isinstance(error, PASSING):  # an outage has its line in the log where it is known
        message = "The service cannot answer at the moment. Try again."
        return failure(UNAVAILABLE, message, headers={"Retry-After": RETRY_AFTER})
    if isinstance(error, IntegrityError | StaleVersionError):
        return failure(CONFLICT, _conflict(error))
    if isinstance(error, NotFoundError):
        return failure(NOT_FOUND, "There is no such thing here.")
    if isinstance(error, SanicException) and error.status_code < SERVER_ERROR:
        return failure(error.status_code, str(error), headers=dict(error.headers))
    # Whoever asked learns nothing but the request's id; the log has the rest.
    logger.error("%s %s failed.", request.method, request.path, exc_info=error)
    status = error.status_code if isinstance(error, SanicException) else SERVER_ERROR
    return failure(status, "The service failed to answer. Its log has the reason.", {"request_id": str(request.id)})


def _conflict(error: IntegrityError | StaleVersionError) -> str:
    """What is said to strangers: the columns, never the database's own words, which quote other people's values."""
    if isinstance(error, StaleVersionError):
        return "Somebody else has changed this in the meantime. Read it again."
    if error.columns:
        return f"This is in conflict with what there is: {', '.join(error.columns)}."
    return "This is in conflict with what there is."
