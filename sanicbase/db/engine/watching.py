"""Statements that are watched: their times as metrics and as spans, slow ones, and those that a request repeats.

Nothing is watched unless the settings of the open databases say so, or statements are counted on demand. The shape of
a statement is its text without literals; values are parameters, and are not part of it.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from inspect import currentframe
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import tortoise

import sanicbase
from sanicbase.db.engine.shapes import shape_of
from sanicbase.db.engine.spans import traced
from sanicbase.db.errors import RepeatedStatements
from sanicbase.log import current_context
from sanicbase.metrics import Histogram
from sanicbase.metrics.demand import on_demand
from sanicbase.metrics.instruments import is_counting
from sanicbase.metrics.slow import SLOW, report_slow
from sanicbase.tracing import current_recorder, sampled_recorder

__all__ = ["StatementWatch", "count_statements_anew", "open_watch", "shape_of", "watched"]

logger = logging.getLogger("sanicbase.db")

T = TypeVar("T")

STATEMENT = Histogram(
    "sanicbase_db_statement_seconds",
    "Statements by their database and kind, with the wait for a connection.",
    ["database", "kind"],
)
KINDS = frozenset(("select", "insert", "update", "delete", "replace", "with", "call"))
WORD = re.compile(r"[\s(]*+(\w+)")
MAX_SHAPE = 500  # characters of a shape in the log
LIBRARIES = tuple(str(Path(module.__file__ or "").parent) for module in (sanicbase, tortoise))

_counts: ContextVar[Counter[str] | None] = ContextVar("counted_statements", default=None)
_is_nested: ContextVar[bool] = ContextVar("nested_statement", default=False)
_watch: StatementWatch | None = None


class StatementWatch:
    """What is watched in the open databases of this process.

    `slow` is the time in seconds from which a statement is logged, 0 for never. A request that repeats a shape more
    than `repeats` times, if not 0, has a warning in the log, once, or gets RepeatedStatements when it `refuses` them.
    """

    def __init__(self, *, slow: float, repeats: int, refuses: bool) -> None:
        self._slow = slow
        self._repeats = repeats
        self._refuses = refuses
        self.traces = current_recorder() is not None

    def count_anew(self) -> None:
        """Forget the statements of this task's last request, and those that it has shared with others."""
        if self._repeats:
            _counts.set(Counter())

    async def run(self, database: str, query: str, statement: Coroutine[Any, Any, T]) -> T:
        """Run a statement, which a driver may execute as another one: only the outer is watched."""
        if _is_nested.get():
            return await statement
        if self._repeats:
            try:
                self._count(query)
            except RepeatedStatements:
                statement.close()
                raise
        if self.traces and (recorder := sampled_recorder()) is not None:
            statement = traced(recorder, database, query, statement)
        _is_nested.set(True)
        started = perf_counter()
        try:
            return await statement
        finally:
            seconds = perf_counter() - started
            _is_nested.set(False)
            STATEMENT.observe(seconds, database, kind_of(query))
            if seconds >= SLOW:
                report_slow("statement", seconds, database, _shown(query), current_context().request_id)
            if 0 < self._slow <= seconds:
                logger.warning("A statement of the database %s took %.2f s: %s", database, seconds, _shown(query))

    def _count(self, query: str) -> None:
        counts = _counts.get()
        if counts is None or not current_context().request_id:  # a script may repeat what it likes
            return
        shape = shape_of(query)
        counts[shape] += 1
        if counts[shape] == self._repeats + 1:
            message = (
                f"The same statement was executed more than {self._repeats} times for one request, at {_place()}: "
                f"{_shown(query)}. Fetch the rows together: fetch_models, prefetch_related, or a filter with __in."
            )
            if self._refuses:
                raise RepeatedStatements(message)
            logger.warning("%s", message)


@contextmanager
def open_watch(*, slow: float, repeats: int, refuses: bool) -> Iterator[None]:
    """Watch the statements of this process inside the block, by these options of StatementWatch; without them, while
    statements are counted."""
    watch = StatementWatch(slow=slow, repeats=repeats, refuses=refuses)
    is_on = bool(slow or repeats or is_counting() or watch.traces)

    def set_watch(is_on: bool) -> None:
        global _watch
        _watch = watch if is_on else None

    set_watch(is_on)
    with on_demand(partial(set_watch, True), partial(set_watch, is_on)):
        yield


def count_statements_anew() -> None:
    """The current task begins a request, a WebSocket message or a job."""
    if _watch is not None:
        _watch.count_anew()


def watched(database: str, query: str, statement: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """The statement, watched if statements are."""
    return statement if _watch is None else _watch.run(database, query, statement)


def kind_of(query: str) -> str:
    """The first word of a statement, or `other`."""
    match = WORD.match(query)
    word = match[1].lower() if match is not None else ""
    return word if word in KINDS else "other"


def _shown(query: str) -> str:
    shape = " ".join(shape_of(query).split())
    return shape if len(shape) <= MAX_SHAPE else f"{shape[:MAX_SHAPE]} …"


def _place() -> str:
    """The line of the service's code that the statement is for."""
    frame = currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(LIBRARIES) and "site-packages" not in file and not file.startswith("<"):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return "an unknown line"
