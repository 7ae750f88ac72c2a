"""The error handler: responds to every error of a service in its envelope and in the client's language."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from sanic.response import HTTPResponse

from sanicbase.codes import StatusError
from sanicbase.http.envelope import Envelope, envelope_of
from sanicbase.http.errors.exceptions import FieldError, printable
from sanicbase.http.errors.mapping import LogPolicy, describe, log_policy, problem_of
from sanicbase.http.errors.messages import Messages, language_of
from sanicbase.http.errors.problem import Problem
from sanicbase.http.guards import challenge_of
from sanicbase.http.request import AnyRequest
from sanicbase.i18n import Language
from sanicbase.server.context import App

__all__ = ["ErrorHandler", "overload_response"]

logger = logging.getLogger("sanicbase.http")

MAX_ERRORS = 100  # field errors of a response; one body may contain a million
MAX_LENGTH = 500  # characters of a path or a message
UNAUTHORIZED = StatusError.UNAUTHORIZED.status
CREDENTIALS = ("authorization", "key", "token")  # parts of the names of headers


class ErrorHandler:
    """Responds to every exception of an app in its envelope, with those messages."""

    def __init__(self, envelope: Envelope, messages: Messages) -> None:
        self._envelope = envelope
        self._messages = messages

    def install(self, app: App) -> None:
        """Handle the errors of the app."""
        for kind in (Exception, CancelledError):
            app.error_handler.add(kind, self._respond)

    async def _respond(self, request: AnyRequest, error: BaseException) -> HTTPResponse:
        """Never fails: Sanic would respond to a failure here without the envelope, and log nothing."""
        try:
            _log(request, error)
            problem = self._problem(request, error)
            if problem.status == UNAUTHORIZED:
                _log_unauthorized(request, error)
            return self._envelope.error(request, problem)
        except Exception as exc:  # in an envelope or an exception that a service wrote
            logger.exception("%s cannot render %s.", type(self._envelope).__name__, type(error).__name__)
            return Envelope().error(request, self._problem(request, RuntimeError(str(exc))))

    def _problem(self, request: AnyRequest, error: BaseException) -> Problem:
        language = language_of(request)
        problem = problem_of(error, language)
        return replace(
            problem,
            message=printable(problem.message, MAX_LENGTH),
            errors=tuple(self._translated(field_error, language) for field_error in problem.errors[:MAX_ERRORS]),
            headers=_headers(request, problem),
            request_id=str(request.id),
        )

    def _translated(self, error: FieldError, language: Language) -> FieldError:
        message = self._messages.text(error.code, error.context, error.message, language)
        path, code = printable(error.path, MAX_LENGTH), error.code.removeprefix("column.")
        return FieldError(path, code, printable(message, MAX_LENGTH), error.context)


def overload_response(request: AnyRequest) -> HTTPResponse:
    """The 503 of an overloaded worker, which costs little and is not logged for each request."""
    problem = _overload_problem(language_of(request))
    return envelope_of(request.app).error(request, replace(problem, request_id=str(request.id)))


@cache
def _overload_problem(language: Language) -> Problem:
    return problem_of(StatusError.SERVICE_UNAVAILABLE(), language)


def _headers(request: AnyRequest, problem: Problem) -> Mapping[str, str]:
    """A 401 names the authentication scheme, whichever code raised it (RFC 9110, 15.5.2)."""
    if problem.status == UNAUTHORIZED and "www-authenticate" not in {name.lower() for name in problem.headers}:
        return {**problem.headers, "WWW-Authenticate": challenge_of(request)}
    return problem.headers


def _log_unauthorized(request: AnyRequest, error: BaseException) -> None:
    """A failed authentication, without what was sent. A request without any credentials is not logged."""
    if request.body or any(word in name for name in request.headers for word in CREDENTIALS):
        # Not the name of the class: the logs take what follows `InvalidCredentials:` for credentials.
        client, reason = request.client_ip, printable(str(error) or type(error).__name__, MAX_LENGTH)
        logger.warning("%s %s returned 401, client %s. %s", request.method, request.path, client, reason)


def _log(request: AnyRequest, error: BaseException) -> None:
    """Without the query and the headers: the traceback shows what failed, and credentials must not be in the log."""
    policy = log_policy(error)
    if policy is LogPolicy.TRACEBACK:
        logger.error("%s %s failed.", request.method, request.path, exc_info=error)
    elif policy is LogPolicy.LINE:
        logger.warning("%s %s returned 503. %s", request.method, request.path, describe(error))
    elif policy is LogPolicy.CLIENT_DISCONNECTED and request.method == "NONE":
        logger.info("The client closed the connection before its request was complete.")
    elif policy is LogPolicy.CLIENT_DISCONNECTED:
        logger.info("%s %s: the client closed the connection before the response.", request.method, request.path)
