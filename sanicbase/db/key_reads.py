"""Reads by key that wait at the same time, sent as one statement.

A read on its own is sent at once, by its caller. While another read of the model is under way, a read waits for the end
of the event loop's turn, and all that wait by then are one statement. While two statements are under way, it waits for
one of them to end, for 5 milliseconds at most. A batch never contains a read that began after it was sent, so what a
caller has committed before its read is visible to it.

A batch runs in a task of its own. A caller that is cancelled leaves it, and the last one to leave cancels it. When a
batch fails, each of its callers reads alone, so that only the one whose key was the reason gets the error.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Coroutine, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sanicbase.db.engine.spans import statement_span
from sanicbase.db.engine.statements import EngineClient
from sanicbase.db.engine.timeouts import GRACE
from sanicbase.db.errors import DatabaseTimeout, DatabaseUnavailable
from sanicbase.db.instances import as_dictionaries
from sanicbase.tracing import sampled_recorder

if TYPE_CHECKING:
    from sanicbase.tracing.recorder import Recorder

__all__ = ["MAX_READS", "KeyReads", "KeyStatements", "Row"]

Row = Mapping[str, Any]
Waiter = asyncio.Future[Sequence[Row] | None]  # None: the caller has to read alone

MAX_READS = 100  # of one statement
MAX_RUNNING = 2  # statements; while there are so many, the next batch waits and gathers more reads
MAX_WAIT = 0.005  # seconds that a batch waits for one of them to end

COMPARABLE = frozenset((int, str, UUID))  # types of keys by which rows are found again
EXACT = frozenset((int, UUID))  # of these, those that no collation compares
IMMUTABLE = frozenset((NoneType, bool, int, float, str, bytes, Decimal, datetime, date, time, timedelta, UUID))


@dataclass(frozen=True, slots=True)
class KeyStatements:
    """The SELECT of a row by its key, and that of several rows."""

    single: str
    before: list[Any]  # the values before the key
    after: list[Any]
    column: str
    """The column of the key."""
    several: tuple[str, str, str] | None
    """The text before the condition, the column in it, and the text behind; None where the condition is not known."""
    several_after: list[Any]

    def select(self, value: Any) -> tuple[str, list[Any]]:
        """The statement for one key."""
        return self.single, [*self.before, value, *self.after]

    def select_several(self, values: Sequence[Any], dialect: str) -> tuple[str, list[Any]]:
        """The statement for several keys, with one text for each power of two, so that drivers keep few of them."""
        assert self.several is not None  # noqa: S101
        first, key, last = self.several
        if dialect == "postgres":
            return f"{first}{key}=ANY(${len(self.before) + 1}){last}", [
                *self.before,
                list(values),
                *self.several_after,
            ]
        count = 1 << (len(values) - 1).bit_length()
        padded = [*values, *[values[0]] * (count - len(values))]
        places = ",".join(["%s" if dialect == "mysql" else "?"] * count)
        return f"{first}{key} IN ({places}){last}", [*self.before, *padded, *self.several_after]


class KeyReads:
    """The reads of one model's rows on one client. Not for transactions and sessions, which have one connection."""

    __slots__ = ("_batch", "_client", "_expects_others", "_running", "_statements", "_tasks")

    def __init__(self, client: EngineClient, statements: KeyStatements) -> None:
        self._client = client
        self._statements = statements
        self._running = 0  # statements under way
        self._expects_others = False  # whether reads come several at a time
        self._batch: _Batch | None = None  # the one that is not sent yet
        self._tasks: set[asyncio.Task[None]] = set()

    def rows(self, value: Any) -> Coroutine[Any, Any, Sequence[Row]]:
        """The rows with that key: none, one, or several where the manager's condition joins tables. Await it."""
        if type(value) not in COMPARABLE:
            return self._alone(value)
        if not self._expects_others:
            if not self._running:
                return self._alone(value)
            self._expects_others = True
        return self._together(value)

    async def _alone(self, value: Any) -> Sequence[Row]:
        self._running += 1
        try:
            rows: Sequence[Row] = (await self._client.execute_query(*self._statements.select(value)))[1]
        finally:
            self._end_statement()
        return rows

    async def _together(self, value: Any) -> Sequence[Row]:
        """The rows from a batch, or from a statement of its own where the batch has no answer."""
        batch = self._batch
        if batch is None or batch.loop is not asyncio.get_running_loop():
            batch = self._batch = _Batch(asyncio.get_running_loop())
            batch.loop.call_soon(self._end_turn, batch)
        waiter = batch.join(value)
        if batch.size == MAX_READS:
            self._send(batch)
        try:
            recorder = sampled_recorder()
            rows = await (waiter if recorder is None else self._traced(recorder, waiter))
        except asyncio.CancelledError:
            batch.leave()
            raise
        return await self._alone(value) if rows is None else rows

    async def _traced(self, recorder: Recorder, waiter: Waiter) -> Sequence[Row] | None:
        """Wait for a batch, which belongs to several traces, in a span of the caller's own."""
        with statement_span(recorder, self._client.connection_name, self._statements.single):
            return await waiter

    def _end_turn(self, batch: _Batch) -> None:
        """Send the batch, or let it wait for one of several statements to end, but not for a slow one."""
        if self._running < MAX_RUNNING:
            self._send(batch)
        elif batch is self._batch:
            batch.timer = batch.loop.call_later(MAX_WAIT, self._send, batch)

    def _end_statement(self) -> None:
        self._running -= 1
        batch = self._batch
        if batch is not None and batch.timer is not None:
            self._send(batch)

    def _send(self, batch: _Batch) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
        if batch is not self._batch:  # sent before, because it was full
            return
        self._batch = None
        batch.drop_cancelled()
        if batch.size < 2:  # its caller sends it, as if it had not waited
            self._expects_others = self._running > 0
            batch.finish()
            return
        self._running += 1
        # Without the context of the caller that happened to be the first, such as the request's id in the log.
        batch.task = task = batch.loop.create_task(self._read(batch), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, batch: _Batch) -> None:
        begun = batch.loop.time()
        try:
            statement = self._statements.select_several(list(batch.waiters), self._client.capabilities.dialect)
            rows = as_dictionaries((await self._client.execute_query(*statement))[1])
            batch.deliver(rows, self._statements.column)
        except (DatabaseTimeout, DatabaseUnavailable) as exc:
            # A caller must not wait for a silent server twice as long as its timeouts.
            if batch.loop.time() - begun > GRACE:
                batch.fail(exc)
        except Exception as exc:
            self._client.log.debug("A batch of reads by key failed, and is read one by one: %r", exc)
        finally:
            batch.finish()
            self._end_statement()


class _Batch:
    """The callers that share a statement, by their keys."""

    __slots__ = ("loop", "size", "task", "timer", "waiters")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.size = 0
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None  # while it waits for a statement to end
        self.waiters: dict[Any, list[Waiter]] = {}

    def join(self, value: Any) -> Waiter:
        waiter: Waiter = self.loop.create_future()
        self.waiters.setdefault(value, []).append(waiter)
        self.size += 1
        return waiter

    def leave(self) -> None:
        """A caller was cancelled. The last one takes the statement with it."""
        if self.task is not None and all(waiter.done() for waiters in self.waiters.values() for waiter in waiters):
            self.task.cancel()

    def drop_cancelled(self) -> None:
        """Before the statement is sent: keep the callers that still wait."""
        for value, waiters in list(self.waiters.items()):
            self.waiters[value] = waiting = [waiter for waiter in waiters if not waiter.done()]
            if not waiting:
                del self.waiters[value]
        self.size = sum(map(len, self.waiters.values()))

    def deliver(self, rows: Sequence[dict[str, Any]], column: str) -> None:
        """Give each caller its row. Callers for which that is not certain read alone."""
        rows_by_key: dict[Any, list[Row]] = {}
        for row in rows:
            rows_by_key.setdefault(row[column], []).append(row)
        # A row that nobody asked for is equal to a key by the database's rules, but not by Python's.
        all_known = rows_by_key.keys() <= self.waiters.keys()
        for value, waiters in self.waiters.items():
            if value in rows_by_key:
                _set(waiters[0], rows_by_key[value])
                for waiter in waiters[1:]:
                    _set(waiter, [_copied(row) for row in rows_by_key[value]])
            elif all_known and type(value) in EXACT:
                for waiter in waiters:
                    _set(waiter, [])

    def fail(self, error: DatabaseTimeout | DatabaseUnavailable) -> None:
        """Raise the error in each caller, as an object of its own."""
        for waiters in self.waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(_twin(error))

    def finish(self) -> None:
        """Let the callers without an outcome read alone."""
        for waiters in self.waiters.values():
            for waiter in waiters:
                _set(waiter, None)


def _set(waiter: Waiter, outcome: Sequence[Row] | None) -> None:
    if not waiter.done():  # cancelled
        waiter.set_result(outcome)


def _copied(row: Row) -> Row:
    """The row for another caller, which may change the arrays in it."""
    return {name: value if type(value) in IMMUTABLE else copy.deepcopy(value) for name, value in row.items()}


def _twin(error: DatabaseTimeout | DatabaseUnavailable) -> BaseException:
    """The error as another object, because each caller adds its own traceback."""
    kind = type(error)
    twin = kind.__new__(kind, *error.args)
    twin.__dict__.update(error.__dict__)
    twin.__cause__ = error.__cause__
    return twin
