"""Every error of a service, in its envelope and in its client's language."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections.abc import Mapping

from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase.codes import StatusError
from sanicbase.http.envelope import Envelope
from sanicbase.http.failure import Failure, Fault
from sanicbase.http.messages import Messages, language_of
from sanicbase.http.mistakes import Mistake
from sanicbase.http.rules import challenge_of
from sanicbase.http.verdict import Logged, Verdict, judge, reason
from sanicbase.i18n import Language
from sanicbase.typing import App

__all__ = ["install_error_handlers"]

logger = logging.getLogger("sanicbase.http")

MOST = 100  # mistakes that are told; a client may have made a million in one body
LONGEST = 500  # characters of a path or a message
UNAUTHORIZED = StatusError.UNAUTHORIZED.status
CREDENTIALS = ("authorization", "key", "token")  # parts of the names of headers
BROKEN = Verdict(StatusError.INTERNAL_SERVER_ERROR, StatusError.INTERNAL_SERVER_ERROR.status)


def install_error_handlers(app: App, envelope: Envelope, messages: Messages) -> None:
    """Answer every exception of the app in that envelope, `app.ctx.envelope`, and with `app.ctx.messages`."""
    app.ctx.envelope = envelope
    app.ctx.messages = messages
    for kind in (Exception, CancelledError):
        app.error_handler.add(kind, _answer)


async def _answer(request: Request, error: BaseException) -> HTTPResponse:
    """Never fails: Sanic would answer a failure here outside of the envelope, and log nothing."""
    envelope: Envelope = request.app.ctx.envelope
    try:
        verdict = judge(error)
        _log(request, error, verdict.logged)
        if verdict.status == UNAUTHORIZED:
            _log_refused(request, error)
        return envelope.failure(request, _failure(request, verdict))
    except Exception:  # in an envelope or an exception that a service wrote
        logger.exception("%s cannot tell of %s.", type(envelope).__name__, type(error).__name__)
        return Envelope().failure(request, _failure(request, BROKEN))


def _log_refused(request: Request, error: BaseException) -> None:
    """A sign-in that failed, without what was sent. Who sends nothing at all is no news: links are followed so."""
    if request.body or any(word in name for name in request.headers for word in CREDENTIALS):
        who = _sendable(request.remote_addr or request.ip)  # a proxy's header may hold any bytes
        logger.warning("%s %s was refused to %s with 401. %s", request.method, request.path, who, reason(error))


def _failure(request: Request, verdict: Verdict) -> Failure:
    language = language_of(request)
    return Failure(
        status=verdict.status,
        code=verdict.code,
        message=_sendable(verdict.message(language)),
        request_id=str(request.id),
        language=language,
        faults=tuple(_fault(request.app.ctx.messages, mistake, language) for mistake in verdict.mistakes[:MOST]),
        headers=_headers(request, verdict),
    )


def _headers(request: Request, verdict: Verdict) -> Mapping[str, str]:
    """A 401 says how to authenticate, no matter which code raised it (RFC 9110, 15.5.2)."""
    if verdict.status == UNAUTHORIZED and "www-authenticate" not in {name.lower() for name in verdict.headers}:
        return {**verdict.headers, "WWW-Authenticate": challenge_of(request)}
    return verdict.headers


def _fault(messages: Messages, mistake: Mistake, language: Language) -> Fault:
    message = messages.text(mistake.code, mistake.context, mistake.message, language)
    return Fault(_sendable(mistake.path), mistake.code.removeprefix("column."), _sendable(message))


def _sendable(text: str) -> str:
    """What a client sent may be part of it: no more than can be read, and no half characters, which JSON has not."""
    return text[:LONGEST].encode(errors="replace").decode()


def _log(request: Request, error: BaseException, logged: Logged) -> None:
    """Without the query and the headers: the traceback tells what failed, and who asked must not be in the log."""
    if logged is Logged.TRACEBACK:
        logger.error("%s %s failed.", request.method, request.path, exc_info=error)
    elif logged is Logged.LINE:
        logger.warning("%s %s was answered 503. %s", request.method, request.path, reason(error))
    elif logged is Logged.CLIENT_GONE and request.method == "NONE":
        logger.info("A connection was closed before its request was complete.")
    elif logged is Logged.CLIENT_GONE:
        logger.info("%s %s: the connection was closed before it was answered.", request.method, request.path)
