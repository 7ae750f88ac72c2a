"""A line to be, as the thread that logs it leaves it: nothing in it can change any more, and nothing was formatted
that can wait."""

from __future__ import annotations

import logging
from traceback import TracebackException
from typing import NamedTuple

from sanicbase.log.context import Context, current_context
from sanicbase.log.redaction import Redactor, said

__all__ = ["Entry", "entry_of"]

_ORDINARY = logging.LogRecord("", 0, "", 0, "", (), None).__dict__.keys() | {"message", "asctime", "taskName"}
_COUNT = len(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)


class Entry(NamedTuple):
    """One call of a logger."""

    created: float
    level: int
    level_name: str
    logger: str
    message: str
    context: Context = Context()
    extra: dict[str, object] | None = None
    trace: TracebackException | None = None
    stack: str | None = None


def entry_of(record: logging.LogRecord, redactor: Redactor) -> Entry:
    """The entry for a record, the secrets in its arguments and in its `extra` hidden.

    The message is made here, for an argument may be something else by the time it is written. A traceback is only
    noted: the source lines it shows are on the disk.
    """
    return Entry(
        record.created,
        record.levelno,
        record.levelname,
        record.name,
        _message(record, redactor),
        current_context(),
        _extra(record, redactor),
        _trace(record),
        record.stack_info,
    )


def _message(record: logging.LogRecord, redactor: Redactor) -> str:
    message = record.msg if isinstance(record.msg, str) else said(redactor.arguments(record.msg))
    if not record.args:
        return message
    try:
        return message % redactor.arguments(record.args)
    except Exception:  # a wrong placeholder, or an object that cannot be shown: the line is worth more than its form
        return f"{message} {said(redactor.plain(list(_values(record))))}"


def _values(record: logging.LogRecord) -> tuple[object, ...]:
    return record.args if isinstance(record.args, tuple) else (record.args,)


def _extra(record: logging.LogRecord, redactor: Redactor) -> dict[str, object] | None:
    if len(record.__dict__) == _COUNT:
        return None
    extra = {name: value for name, value in record.__dict__.items() if name not in _ORDINARY}
    plain = redactor.plain(extra)
    return plain if isinstance(plain, dict) and plain else None


def _trace(record: logging.LogRecord) -> TracebackException | None:
    if not record.exc_info or record.exc_info[0] is None:
        return None
    return TracebackException(*record.exc_info, lookup_lines=False, compact=True)
