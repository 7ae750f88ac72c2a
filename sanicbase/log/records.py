"""Log records as the calling thread queues them: immutable, and formatted only where the writing thread could not do
it."""

from __future__ import annotations

import logging
from traceback import TracebackException
from typing import NamedTuple

from sanicbase.log.context import Context, current_context
from sanicbase.log.redaction import Redactor, safe_str
from sanicbase.tracing import sampled_recorder

__all__ = ["AccessRecord", "PreparedRecord", "prepare"]

_STANDARD_NAMES = logging.LogRecord("", 0, "", 0, "", (), None).__dict__.keys() | {"message", "asctime", "taskName"}
_STANDARD_COUNT = len(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)

AccessRecord = tuple[float, str, str, str, int, int | None, float, Context]
"""An answered request: time, address, method, path, status, bytes, milliseconds, context. A plain tuple, because every
request creates one."""


class PreparedRecord(NamedTuple):
    """One logging call."""

    created: float
    level: int
    level_name: str
    logger: str
    message: str
    context: Context = Context()
    extra: dict[str, object] | None = None
    trace: TracebackException | None = None
    stack: str | None = None


def prepare(record: logging.LogRecord, redactor: Redactor) -> PreparedRecord:
    """Prepare a record for the queue, with the secrets in its arguments and in its `extra` hidden.

    The message is formatted here, because an argument may change before the line is written. The source lines of a
    traceback are read later, from the disk.
    """
    return PreparedRecord(
        record.created,
        record.levelno,
        record.levelname,
        record.name,
        _message(record, redactor),
        _context(),
        _extra(record, redactor),
        _trace(record),
        record.stack_info,
    )


def _context() -> Context:
    """The context of the caller, in the innermost of its spans."""
    recorder = sampled_recorder()
    if recorder is None:
        return current_context()
    trace_id, span_id = recorder.ids()
    return current_context()._replace(trace_id=trace_id, span_id=span_id)


def _message(record: logging.LogRecord, redactor: Redactor) -> str:
    message = record.msg if isinstance(record.msg, str) else safe_str(redactor.arguments(record.msg))
    if not record.args:
        return message
    try:
        return message % redactor.arguments(record.args)
    except Exception:  # a wrong placeholder, or an object whose __str__ raises: log the line without formatting it
        return f"{message} {safe_str(redactor.plain(list(_arguments(record))))}"


def _arguments(record: logging.LogRecord) -> tuple[object, ...]:
    return record.args if isinstance(record.args, tuple) else (record.args,)


def _extra(record: logging.LogRecord, redactor: Redactor) -> dict[str, object] | None:
    if len(record.__dict__) == _STANDARD_COUNT:
        return None
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD_NAMES}
    plain = redactor.plain(extra)
    return plain if isinstance(plain, dict) and plain else None


def _trace(record: logging.LogRecord) -> TracebackException | None:
    if not record.exc_info or record.exc_info[0] is None:
        return None
    return TracebackException(*record.exc_info, lookup_lines=False, compact=True)
