"""Capture the SQL statements that a block of code sends, for tests that count them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["capture_statements"]

STATEMENT = "%s: %s"  # Tortoise's log format of a statement and its values; a script has no values


@contextmanager
def capture_statements() -> Iterator[list[str]]:
    """Yield a list of the SQL statements that this process sends within the block, on every connection, in order.

    The list contains no values, no BEGIN, no COMMIT and no savepoints.
    """
    sent: list[str] = []
    logger = logging.getLogger("tortoise.db_client")
    level, effective_level = logger.level, logger.getEffectiveLevel()

    def capture(record: logging.LogRecord) -> bool:
        if record.msg == STATEMENT and isinstance(record.args, tuple):
            sent.append(str(record.args[0]))
        elif not record.args:
            sent.append(str(record.msg))
        return record.levelno >= effective_level  # the log level of others is not affected

    logger.addFilter(capture)
    logger.setLevel(logging.DEBUG)
    try:
        yield sent
    finally:
        logger.setLevel(level)
        logger.removeFilter(capture)
