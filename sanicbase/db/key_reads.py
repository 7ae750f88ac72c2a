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
from collections.abc import Coroutine, Iterable, Sequence
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
from sanicbase.db.instances import Factory
from sanicbase.tracing import sampled_recorder

if TYPE_CHECKING:
    from sanicbase.tracing.recorder import Recorder

__all__ = ["MAX_READS", "KeyReads", "KeyStatements"]

State = dict[str, Any]  # of an instance
Waiter = asyncio.Future[Sequence[State] | None]  # None: the caller has to read alone

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

    __slots__ = ("_batch", "_client", "_expects_others", "_factory", "_running", "_statements", "_tasks")

    def __init__(self, client: EngineClient, statements: KeyStatements, factory: Factory) -> None:
        self._client = client
        self._statements = statements
        self._factory = factory
        self._running = 0  # statements under way
        self._expects_others = False  # whether reads come several at a time
        self._batch: _Batch | None = None  # the one that is not sent yet
        self._tasks: set[asyncio.Task[None]] = set()

    def states(self, value: Any) -> Coroutine[Any, Any, Sequence[State]]:
        """What the factory makes instances of, for the rows with that key: none, one, or several where the manager's
        condition joins tables. Await it."""
        if type(value) not in COMPARABLE:
            return self._alone(value)
        if not self._expects_others:
            if not self._running:
                return self._alone(value)
            self._expects_others = True
        return self._together(value)

    async def _alone(self, value: Any) -> Sequence[State]:
        self._running += 1
        try:
            rows = (await self._client.execute_query(*self._statements.select(value)))[1]
        finally:
            self._end_statement()
        return self._factory.states(rows)

    async def _together(self, value: Any) -> Sequence[State]:
        """The states from a batch, or from a statement of its own where the batch has no answer."""
        batch = self._batch
        if batch is None or batch.loop is not asyncio.get_running_loop():
            batch = self._batch = _Batch(asyncio.get_running_loop())
            batch.loop.call_soon(self._end_turn, batch)
        waiter: Waiter = batch.loop.create_future()
        batch.waiters.append((value, waiter))
        if len(batch.waiters) == MAX_READS:
            self._send(batch)
        try:
            recorder = sampled_recorder()
            states = await (waiter if recorder is None else self._traced(recorder, waiter))
        except asyncio.CancelledError:
            batch.leave()
            raise
        return await self._alone(value) if states is None else states

    async def _traced(self, recorder: Recorder, waiter: Waiter) -> Sequence[State] | None:
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
        if len(batch.waiters) < 2:  # its caller sends it, as if it had not waited
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
            statement = self._statements.select_several(batch.keys(), self._client.capabilities.dialect)
            rows = (await self._client.execute_query(*statement))[1]
            column = self._statements.column
            keys = [row[column] for row in rows]  # as the driver has read them
            batch.deliver(keys, self._factory.states(rows))
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
    """The callers that share a statement, with their keys."""

    __slots__ = ("loop", "task", "timer", "waiters")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None  # while it waits for a statement to end
        self.waiters: list[tuple[Any, Waiter]] = []

    def keys(self) -> list[Any]:
        """Each key once."""
        return list(dict.fromkeys([key for key, _ in self.waiters]))

    def leave(self) -> None:
        """A caller was cancelled. The last one takes the statement with it."""
        if self.task is not None and not any(self._waiting()):
            self.task.cancel()

    def drop_cancelled(self) -> None:
        """Before the statement is sent: keep the callers that still wait."""
        self.waiters = [one for one in self.waiters if not one[1].done()]

    def deliver(self, keys: Sequence[Any], states: Sequence[State]) -> None:
        """Give each caller its row. Callers for which that is not certain read alone."""
        found: dict[Any, list[State]] = {}
        for key, state in zip(keys, states, strict=True):
            found.setdefault(key, []).append(state)
        # A row that nobody asked for is equal to a key by the database's rules, but not by Python's.
        all_known = found.keys() <= {key for key, _ in self.waiters}
        given: set[Any] = set()
        for key, waiter in self.waiters:
            if waiter.done():  # cancelled
                continue
            if key not in found:
                waiter.set_result([] if all_known and type(key) in EXACT else None)
            elif key not in given:
                given.add(key)
                waiter.set_result(found[key])
            else:
                waiter.set_result([_copied(state) for state in found[key]])

    def fail(self, error: DatabaseTimeout | DatabaseUnavailable) -> None:
        """Raise the error in each caller, as an object of its own."""
        for waiter in self._waiting():
            waiter.set_exception(_twin(error))

    def finish(self) -> None:
        """Let the callers without an outcome read alone."""
        for waiter in self._waiting():
            waiter.set_result(None)

    def _waiting(self) -> Iterable[Waiter]:
        return [waiter for _, waiter in self.waiters if not waiter.done()]


def _copied(state: State) -> State:
    """The state for another caller, which may change the arrays in it."""
    return {name: value if type(value) in IMMUTABLE else copy.deepcopy(value) for name, value in state.items()}


def _twin(error: DatabaseTimeout | DatabaseUnavailable) -> BaseException:
    """The error as another object, because each caller adds its own traceback."""
    kind = type(error)
    twin = kind.__new__(kind, *error.args)
    twin.__dict__.update(error.__dict__)
    twin.__cause__ = error.__cause__
    return twin
