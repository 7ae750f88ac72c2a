"""Setting up, flushing and closing the log of a process."""

from __future__ import annotations

import errno
import logging
import os
from time import time

from sanicbase.config import Config
from sanicbase.errors import ResourceError
from sanicbase.log.context import current_context
from sanicbase.log.handler import LogHandler, LogWriter
from sanicbase.log.shared_file import UntrustedPath

__all__ = ["close_logging", "flush_logging", "log_access", "setup_logging"]

QUIET = ("tortoise", "tortoise.db_client", "asyncio", "aiosqlite", "filelock")
SANIC = ("sanic.root", "sanic.error", "sanic.server", "sanic.websockets", "sanic.access")
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

_writer: LogWriter | None = None


def setup_logging(config: Config, *, process: str = "") -> None:
    """Send this process's log to `run.log` and `error.log` in the service's folder, which is created if it is missing,
    and to the console if LOG_CONSOLE is on.

    `process` names the kind of process in the lines, such as `http`. Raises ResourceError when the folder cannot be
    written, except when the disk is full, which may pass. Calling it again changes nothing.
    """
    global _writer
    if _writer is not None:
        return
    writer = LogWriter(config, process)
    try:
        writer.open()
    except OSError as exc:
        if exc.errno not in DISK_FULL:
            raise _error(config, exc) from exc
    root = logging.getLogger()
    root.addHandler(LogHandler(writer))
    root.setLevel(logging.DEBUG if config.DEBUG else config.LOG_LEVEL)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    _take_over_sanic()
    _writer = writer


def log_access(ip: str, method: str, path: str, status: int, size: int | None, ms: float) -> None:
    """Write a line to `access.log`, with the request's id and the user of the context. Cheap, and never waits.

    `size` is the response's, in bytes, None when it is unknown; `ms` is the duration in milliseconds. Before
    `setup_logging` it does nothing.
    """
    if _writer is not None:
        _writer.put_access((time(), ip, method, path, status, size, ms, current_context()))


def flush_logging(timeout: float = 2.0) -> None:
    """Return when every line is written, or after `timeout` seconds. It blocks: call it at the end of a process."""
    if _writer is not None:
        _writer.flush(timeout)


def close_logging() -> None:
    """Write the queued lines, close the files and remove the handler. For tests: the end of a process does the same."""
    global _writer
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, LogHandler)]:
        root.removeHandler(handler)
        handler.close()
    _writer = None


def _take_over_sanic() -> None:
    """Send Sanic's records to the root logger, once; handlers that were added by others stay."""
    for name in SANIC:
        logger = logging.getLogger(name)
        logger.propagate = True
        for handler in [handler for handler in logger.handlers if type(handler) is logging.StreamHandler]:
            logger.removeHandler(handler)


def _error(config: Config, exc: OSError) -> ResourceError:
    remedy = "Correct that" if isinstance(exc, UntrustedPath) else "Make the folder writable for this account"
    return ResourceError(
        f"The log {exc.filename or config.log_dir} cannot be written: {exc.strerror}. {remedy}, or set "
        f"{config.env_prefix()}LOG_DIR."
    )


def _reset_after_fork() -> None:
    if _writer is not None:
        _writer.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
