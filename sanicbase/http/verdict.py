"""What an exception means to a client: its code, its words, its headers. What is not known here is a 500."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
from sanicbase.errors import InvalidInput, InvalidQuery, LockLost, LockTaken, ResourceError
from sanicbase.http.mistakes import InvalidParameters, Mistake
from sanicbase.i18n import SOURCE, Language, gettext_noop, translation

__all__ = ["Logged", "Verdict", "judge", "reason"]

RETRY = {"Retry-After": "1"}  # seconds
DUE: dict[int, dict[str, str]] = {503: RETRY, 426: {"Upgrade": "websocket"}}
"""The headers that a status has in any case (RFC 9110, 15.5.22 and 15.6.4)."""
CLIENT_CLOSED_REQUEST = 499  # never sent; nginx has it in its access log for a client that did not wait
SERVER_ERROR = 500
SANIC = ("sanic", "sanic_routing")
Text = Callable[[Language], str]


class Logged(Enum):
    """What the log has of an error."""

    NOTHING = "nothing: it is the client's, or it has its line where it is known"
    CLIENT_GONE = "one line for information: nobody waits for the answer"
    LINE = "one line: a server that is away needs no traceback for every request"
    TRACEBACK = "everything"


@dataclass(frozen=True)
class Verdict:
    """What to tell of an error. `text` takes the place of the code's own message."""

    code: ErrorCode
    status: int
    text: Text | None = None
    mistakes: tuple[Mistake, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    logged: Logged = Logged.NOTHING

    def message(self, language: Language) -> str:
        """What is said in that language."""
        return self.text(language) if self.text else self.code.message.text(language)


def judge(error: BaseException) -> Verdict:
    """What to tell of an error, with the headers that its status must have."""
    verdict = _judge(error)
    told = {name.lower() for name in verdict.headers}
    due = {name: value for name, value in DUE.get(verdict.status, {}).items() if name.lower() not in told}
    return replace(verdict, headers={**due, **verdict.headers}) if due else verdict


def reason(error: BaseException) -> str:
    """The error in one line of a log; an error without words is named by its class."""
    said = str(error).partition("\n")[0]  # PostgreSQL goes on with what the rows hold
    return f"{type(error).__name__}: {said}" if said else f"{type(error).__name__}."


@singledispatch
def _judge(error: BaseException) -> Verdict:
    return Verdict(StatusError.INTERNAL_SERVER_ERROR, SERVER_ERROR, logged=Logged.TRACEBACK)


@_judge.register
def _coded(error: CodedError) -> Verdict:
    status = error.code.status
    return Verdict(error.code, status, error.message, headers=error.headers, logged=_as_status(status))


@_judge.register
def _sanic(error: SanicException) -> Verdict:
    status = error.status_code
    text = _text(error) if status < SERVER_ERROR else None
    return Verdict(status_code(status), status, text, headers=_headers(error), logged=_as_status(status))


@_judge.register
def _parameters(error: InvalidParameters) -> Verdict:
    status = error.status_code
    return Verdict(status_code(status), status, mistakes=error.mistakes, headers=_headers(error))


@_judge.register
def _input(error: InvalidInput) -> Verdict:
    query = isinstance(error, InvalidQuery)
    mistakes = tuple(
        Mistake(each.path, each.code if query else f"column.{each.code}", str(each), each.context)
        for each in error.mistakes
    )
    code = StatusError.BAD_REQUEST if query else StatusError.UNPROCESSABLE_CONTENT
    return Verdict(code, code.status, StatusError.UNPROCESSABLE_CONTENT.message.text, mistakes)


@_judge.register
def _validation(error: tortoise.exceptions.ValidationError) -> Verdict:
    """Of a model that is not a DBModel: "slug: …"."""
    path = str(error).partition(":")[0]
    code = StatusError.UNPROCESSABLE_CONTENT
    return Verdict(code, code.status, mistakes=(Mistake(path, "column.invalid", f"{path!r} is not valid."),))


@_judge.register(DatabaseUnavailable)
@_judge.register(DatabaseTimeout)
@_judge.register(SerializationError)
@_judge.register(DeadlockError)
def _passing(error: BaseException) -> Verdict:
    """An outage, or a database that is silent, has its line in the log where it is known."""
    silent = isinstance(error, DatabaseUnavailable) or isinstance(error.__cause__, TimeoutError)
    logged = Logged.NOTHING if silent else Logged.LINE
    return Verdict(StatusError.SERVICE_UNAVAILABLE, StatusError.SERVICE_UNAVAILABLE.status, logged=logged)


@_judge.register(ResourceError)
@_judge.register(LockLost)
@_judge.register(redis.exceptions.ConnectionError)
@_judge.register(redis.exceptions.TimeoutError)
@_judge.register(redis.exceptions.ClusterDownError)
@_judge.register(redis.exceptions.ReadOnlyError)
@_judge.register(CancelledError)
def _away(error: BaseException) -> Verdict:
    """Redis is read-only for the moment of a failover; a handler that was cancelled has no answer of its own."""
    return Verdict(StatusError.SERVICE_UNAVAILABLE, StatusError.SERVICE_UNAVAILABLE.status, logged=Logged.LINE)


@_judge.register
def _gone(error: RequestCancelled) -> Verdict:
    return Verdict(StatusError.BAD_REQUEST, CLIENT_CLOSED_REQUEST, logged=Logged.CLIENT_GONE)


@_judge.register
def _held(error: LockTaken) -> Verdict:
    """409: it is this one thing that is busy. A 503 would tell a proxy that the server is, and have it ask another."""
    text = _translated(gettext_noop("Somebody else is at it already. Try again."))
    return Verdict(StatusError.CONFLICT, StatusError.CONFLICT.status, text, headers=RETRY)


@_judge.register
def _stale(error: StaleVersionError) -> Verdict:
    text = _translated(gettext_noop("Somebody else has changed this in the meantime. Read it again."))
    return Verdict(StatusError.CONFLICT, StatusError.CONFLICT.status, text)


@_judge.register
def _conflict(error: IntegrityError) -> Verdict:
    """Strangers are told the columns, never the database's own words, which quote other people's values."""
    text = None
    if columns := ", ".join(error.columns):
        text = _translated(gettext_noop("This is in conflict with what there is: {columns}."), columns=columns)
    return Verdict(StatusError.CONFLICT, StatusError.CONFLICT.status, text)


@_judge.register
def _missing(error: tortoise.exceptions.DoesNotExist) -> Verdict:
    return Verdict(StatusError.NOT_FOUND, StatusError.NOT_FOUND.status)


def _headers(error: SanicException) -> dict[str, str]:
    found = {name: str(value) for name, value in error.headers.items()}
    if "Allow" in found:  # Sanic has a set
        found["Allow"] = ", ".join(sorted(found["Allow"].split(", ")))
    return found


def _as_status(status: int) -> Logged:
    if status < SERVER_ERROR:
        return Logged.NOTHING
    return Logged.LINE if status == StatusError.SERVICE_UNAVAILABLE.status else Logged.TRACEBACK


def _translated(message: str, **values: object) -> Text:
    return lambda language: translation(language).gettext(message, **values)


def _text(error: SanicException) -> Text | None:
    """What the service itself said, in whatever language; of sanicbase its English. Sanic's words quote the request."""
    author, said = _author(error), str(error)
    if author in SANIC or said == STATUS_CODES.get(error.status_code, b"").decode():
        return None
    code = status_code(error.status_code)
    own = author != "sanicbase"
    return lambda language: said if own or language == SOURCE else code.message.text(language)


def _author(error: BaseException) -> str:
    """The package whose code raised the error; one that was never raised is Sanic's own, for a timeout."""
    trace = error.__traceback__
    if trace is None:
        return "sanic"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
