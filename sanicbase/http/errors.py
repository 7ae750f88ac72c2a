"""Every error of a service, in its envelope and in its client's language."""

from __future__ import annotations

import logging
from asyncio import CancelledError

from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase.codes import Language
from sanicbase.http.catalogue import Catalogue
from sanicbase.http.envelope import Envelope
from sanicbase.http.failure import Failure, Fault
from sanicbase.http.language import language_of
from sanicbase.http.mistakes import Mistake
from sanicbase.http.verdict import Logged, Verdict, judge
from sanicbase.typing import App

__all__ = ["install_error_handlers"]

logger = logging.getLogger("sanicbase.http")

MOST = 100  # mistakes that are told; a client may have made a million in one body
LONGEST = 500  # characters of a path or a message


def install_error_handlers(app: App, envelope: Envelope, catalogue: Catalogue) -> None:
    """Answer every exception of the app in that envelope, `app.ctx.envelope`, with the messages of that catalogue."""
    app.ctx.envelope = envelope
    app.ctx.catalogue = catalogue
    for kind in (Exception, CancelledError):
        app.error_handler.add(kind, _answer)


async def _answer(request: Request, error: BaseException) -> HTTPResponse:
    verdict = judge(error)
    _log(request, error, verdict.logged)
    envelope: Envelope = request.app.ctx.envelope
    try:
        return envelope.failure(request, _failure(request, verdict))
    except Exception as wrong:  # in the envelope that a service wrote
        logger.exception("%s cannot tell of %s.", type(envelope).__name__, type(error).__name__)
        return Envelope().failure(request, _failure(request, judge(wrong)))


def _failure(request: Request, verdict: Verdict) -> Failure:
    language = language_of(request)
    return Failure(
        status=verdict.status,
        code=verdict.code,
        message=_sendable(verdict.message(language)),
        request_id=str(request.id),
        language=language,
        faults=tuple(_fault(request.app.ctx.catalogue, mistake, language) for mistake in verdict.mistakes[:MOST]),
        headers=verdict.headers,
    )


def _fault(catalogue: Catalogue, mistake: Mistake, language: Language) -> Fault:
    message = catalogue.message(mistake.code, mistake.context, mistake.message, language)
    return Fault(_sendable(mistake.path), mistake.code.removeprefix("column."), _sendable(message))


def _sendable(text: str) -> str:
    """What a client sent may be part of it: no more than can be read, and no half characters, which JSON has not."""
    return text[:LONGEST].encode(errors="replace").decode()


def _log(request: Request, error: BaseException, logged: Logged) -> None:
    """Without the query and the headers: the traceback tells what failed, and who asked must not be in the log."""
    if logged is Logged.TRACEBACK:
        logger.error("%s %s failed.", request.method, request.path, exc_info=error)
    elif logged is Logged.LINE:
        logger.warning("%s %s was answered 503. %s: %s", request.method, request.path, type(error).__name__, error)
