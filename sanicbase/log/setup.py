"""The one log of a process: set up, written to, flushed, closed."""

from __future__ import annotations

import errno
import logging
import os
from time import time

from sanicbase.config import Config
from sanicbase.errors import ResourceError
from sanicbase.log.context import current_context
from sanicbase.log.journal import Journal, JournalHandler
from sanicbase.log.shared_file import NotOurs

__all__ = ["close_logging", "flush_logging", "log_access", "setup_logging"]

QUIET = ("tortoise", "tortoise.db_client", "asyncio", "aiosqlite", "filelock")
SANIC = ("sanic.root", "sanic.error", "sanic.server", "sanic.websockets", "sanic.access")
FULL = (errno.ENOSPC, errno.EDQUOT)

_journal: Journal | None = None


def setup_logging(config: Config, *, process: str = "") -> None:
    """Send this process's log to `run.log` and `error.log` in the service's folder, which is made if missing, and to
    the console if LOG_CONSOLE says so.

    `process` names the kind of process in the lines, such as `http`. Raises ResourceError when the folder cannot be
    written; a full disk is no reason, for that may pass. Calling it again changes nothing.
    """
    global _journal
    if _journal is not None:
        return
    journal = Journal(config, process)
    try:
        journal.open()
    except OSError as exc:
        if exc.errno not in FULL:
            raise _refusal(config, exc) from exc
    root = logging.getLogger()
    root.addHandler(JournalHandler(journal))
    root.setLevel(logging.DEBUG if config.DEBUG else config.LOG_LEVEL)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    _take_over_sanic()
    _journal = journal


def log_access(ip: str, method: str, path: str, status: int, size: int | None, ms: float) -> None:
    """A line in `access.log`, with the request's id and the user of the context. Costs little, waits for nothing.

    `size` is the answer's, in bytes, None when it is not known; `ms` is the time it took. Before `setup_logging` it
    does nothing.
    """
    if _journal is not None:
        _journal.put_access((time(), ip, method, path, status, size, ms, current_context()))


def flush_logging(timeout: float = 2.0) -> None:
    """Return when all that was logged is written, or after `timeout` seconds. Blocks: for the end of a process."""
    if _journal is not None:
        _journal.flush(timeout)


def close_logging() -> None:
    """Write what waits, close the files and take the handler away. For tests: a process that ends does it by itself."""
    global _journal
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, JournalHandler)]:
        root.removeHandler(handler)
        handler.close()
    _journal = None


def _take_over_sanic() -> None:
    """Sanic's lines go where all lines go, once; a handler that somebody else added stays."""
    for name in SANIC:
        logger = logging.getLogger(name)
        logger.propagate = True
        for handler in [handler for handler in logger.handlers if type(handler) is logging.StreamHandler]:
            logger.removeHandler(handler)


def _refusal(config: Config, exc: OSError) -> ResourceError:
    remedy = "Correct that" if isinstance(exc, NotOurs) else "Make the folder writable for this account"
    return ResourceError(
        f"The log {exc.filename or config.log_dir} cannot be written: {exc.strerror}. {remedy}, or set "
        f"{config.env_prefix()}LOG_DIR."
    )


def _begin_child() -> None:
    if _journal is not None:
        _journal.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
