"""Maps exceptions to problems: status, code, message and headers. Any other exception is a 500."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from functools import singledispatch

import redis.exceptions
import tortoise.exceptions
from sanic.exceptions import RequestCancelled, SanicException
from sanic.helpers import STATUS_CODES

from sanicbase.codes import CodedError, ErrorCode, StatusError, status_code
from sanicbase.db.errors import (
    DatabaseTimeout,
    DatabaseUnavailable,
    DeadlockError,
    IntegrityError,
    SerializationError,
    StaleVersionError,
)
from sanicbase.edge.errors import RefusedRequest
from sanicbase.errors import InvalidInput, InvalidQuery, LockLost, LockTaken, ObjectNotFound, ResourceError
from sanicbase.http.errors.exceptions import FieldError, InvalidCredentials, InvalidParameters
from sanicbase.http.errors.problem import Problem
from sanicbase.i18n import SOURCE, Language, translation

__all__ = ["LogPolicy", "describe", "log_policy", "problem_of"]

RETRY = {"Retry-After": "1"}  # seconds
STATUS_HEADERS: dict[int, dict[str, str]] = {503: RETRY, 426: {"Upgrade": "websocket"}}
"""Headers that responses with a status always have (RFC 9110, 15.5.22 and 15.6.4)."""
CLIENT_CLOSED_REQUEST = 499  # never sent; nginx logs this status when a client closes the connection
SERVER_ERROR = 500
SANIC = ("sanic", "sanic_routing")


class LogPolicy(Enum):
    """How an error is logged."""

    NOTHING = "nothing: the client caused it, or the code that detected it has logged it"
    CLIENT_DISCONNECTED = "one line at INFO: nobody waits for the response"
    LINE = "one line: a server that cannot be reached needs no traceback for every request"
    TRACEBACK = "the traceback"


def problem_of(error: BaseException, language: Language = SOURCE) -> Problem:
    """The problem that is sent to the client for an error, with the headers that its status requires.

    The messages of its field errors are English, see messages.py.
    """
    problem = _problem_of(error, language)
    present = {name.lower() for name in problem.headers}
    missing = {
        name: value for name, value in STATUS_HEADERS.get(problem.status, {}).items() if name.lower() not in present
    }
    return replace(problem, headers={**missing, **problem.headers}) if missing else problem


def log_policy(error: BaseException) -> LogPolicy:
    """How the error that ended a request is logged."""
    if isinstance(error, RequestCancelled):
        return LogPolicy.CLIENT_DISCONNECTED
    if isinstance(error, DatabaseUnavailable) or (
        isinstance(error, DatabaseTimeout | SerializationError | DeadlockError)
        and isinstance(error.__cause__, TimeoutError)  # the database is silent
    ):
        return LogPolicy.NOTHING
    status = _problem_of(error, SOURCE).status
    if status < SERVER_ERROR or isinstance(error, RefusedRequest):
        return LogPolicy.NOTHING
    return LogPolicy.LINE if status == StatusError.SERVICE_UNAVAILABLE.status else LogPolicy.TRACEBACK


def describe(error: BaseException) -> str:
    """The error in one line of a log; an error without a message is named by its class."""
    message = str(error).partition("\n")[0]  # PostgreSQL continues with values of the row
    return f"{type(error).__name__}: {message}" if message else f"{type(error).__name__}."


def _problem(
    code: ErrorCode,
    language: Language,
    message: str = "",
    *,
    status: int | None = None,
    errors: tuple[FieldError, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Problem:
    """A problem with that message; the default is the message of its code."""
    message = message or code.message.text(language)
    return Problem(status or code.status, code, message, errors, headers or {}, language)


@singledispatch
def _problem_of(error: BaseException, language: Language) -> Problem:
    return _problem(StatusError.INTERNAL_SERVER_ERROR, language)


@_problem_of.register
def _coded(error: CodedError, language: Language) -> Problem:
    return _problem(error.code, language, error.message(language), headers=error.headers)


@_problem_of.register
def _sanic(error: SanicException, language: Language) -> Problem:
    status = error.status_code
    message = _service_message(error, language) if status < SERVER_ERROR else ""
    return _problem(status_code(status), language, message, status=status, headers=_headers(error))


@_problem_of.register
def _credentials(error: InvalidCredentials, language: Language) -> Problem:
    message = translation(language).gettext(str(error))
    return _problem(StatusError.UNAUTHORIZED, language, message, headers=_headers(error))


@_problem_of.register
def _parameters(error: InvalidParameters, language: Language) -> Problem:
    status = error.status_code
    return _problem(status_code(status), language, status=status, errors=error.errors, headers=_headers(error))


@_problem_of.register
def _input(error: InvalidInput, language: Language) -> Problem:
    query = isinstance(error, InvalidQuery)
    errors = tuple(
        FieldError(item.path, item.code if query else f"column.{item.code}", str(item), item.context)
        for item in error.errors
    )
    invalid = StatusError.UNPROCESSABLE_CONTENT
    code = StatusError.BAD_REQUEST if query else invalid
    return _problem(code, language, invalid.message.text(language), errors=errors)


@_problem_of.register
def _validation(error: tortoise.exceptions.ValidationError, language: Language) -> Problem:
    """An error of a model that is not a DBModel: "slug: …"."""
    path = str(error).partition(":")[0]
    errors = (FieldError(path, "column.invalid", f"{path!r} is not valid."),)
    return _problem(StatusError.UNPROCESSABLE_CONTENT, language, errors=errors)


@_problem_of.register(DatabaseUnavailable)
@_problem_of.register(DatabaseTimeout)
@_problem_of.register(SerializationError)
@_problem_of.register(DeadlockError)
@_problem_of.register(ResourceError)
@_problem_of.register(LockLost)
@_problem_of.register(redis.exceptions.ConnectionError)
@_problem_of.register(redis.exceptions.TimeoutError)
@_problem_of.register(redis.exceptions.ClusterDownError)
@_problem_of.register(redis.exceptions.ReadOnlyError)
@_problem_of.register(CancelledError)
def _unavailable(error: BaseException, language: Language) -> Problem:
    """Redis is read-only during a failover. A handler that was cancelled has no response."""
    return _problem(StatusError.SERVICE_UNAVAILABLE, language)


@_problem_of.register
def _client_closed(error: RequestCancelled, language: Language) -> Problem:
    return _problem(StatusError.BAD_REQUEST, language, status=CLIENT_CLOSED_REQUEST)


@_problem_of.register
def _lock_taken(error: LockTaken, language: Language) -> Problem:
    """409: only this resource is busy. A 503 would make a proxy try another server."""
    message = translation(language).gettext("Another request is working on this resource. Try again later.")
    return _problem(StatusError.CONFLICT, language, message, headers=RETRY)


@_problem_of.register
def _stale_version(error: StaleVersionError, language: Language) -> Problem:
    message = translation(language).gettext("The resource was modified by another request. Read it again.")
    return _problem(StatusError.CONFLICT, language, message)


@_problem_of.register
def _conflict(error: IntegrityError, language: Language) -> Problem:
    """The response names the columns, without the message of the database, which quotes other users' values."""
    message = ""
    if columns := ", ".join(error.columns):
        catalog = translation(language)
        message = catalog.gettext("The request conflicts with existing data: {columns}.", columns=columns)
    return _problem(StatusError.CONFLICT, language, message)


@_problem_of.register(tortoise.exceptions.DoesNotExist)
@_problem_of.register(ObjectNotFound)
def _not_found(error: BaseException, language: Language) -> Problem:
    return _problem(StatusError.NOT_FOUND, language)


def _headers(error: SanicException) -> dict[str, str]:
    headers = {name: str(value) for name, value in error.headers.items()}
    if "Allow" in headers:  # Sanic has a set
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    return headers


def _service_message(error: SanicException, language: Language) -> str:
    """The message of an error that the service raised, in any language, or that sanicbase raised, in English.

    Sanic's messages quote the request.
    """
    package, message = _raising_package(error), str(error)
    if package in SANIC or message == STATUS_CODES.get(error.status_code, b"").decode():
        return ""
    return "" if package == "sanicbase" and language != SOURCE else message


def _raising_package(error: BaseException) -> str:
    """The top-level package whose code raised the error. Sanic makes errors of timeouts without raising them."""
    trace = error.__traceback__
    if trace is None:
        return "sanic"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
