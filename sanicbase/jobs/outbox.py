"""The outbox: jobs as rows of the transaction that enqueues them, and the relay that moves them to Redis.

| a process is killed | what is left | what happens |
|---|---|---|
| before the commit | nothing | neither the data nor the job exists |
| after the commit | the row | the relay of any worker process moves it, within a second |
| after the row was sent, before it is deleted | the row, and the job in Redis | the row is sent again, and the queue drops it, because it knows the id for a day |
| after the row was deleted | the job in Redis, and in one of its replicas if it has any | it runs |

Several relays take different rows (SKIP LOCKED). On SQLite, two may send the same rows, and the queue drops the
duplicates. The process that commits runs the relay at once. Workers check every second for rows whose process was
killed or could not reach Redis.
"""  # noqa: E501

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from tortoise.connection import get_connections

from sanicbase.db import on_commit, spawn, transaction, use_primary
from sanicbase.db.engine.transactions import EngineTransaction, may_be_in_transaction
from sanicbase.db.pending import Effect
from sanicbase.errors import SanicBaseError
from sanicbase.jobs.message import JobMessage, Labels, PoisonedMessage
from sanicbase.jobs.payload import MAX_PAYLOAD, JobArgumentsInvalid
from sanicbase.jobs.queues.interface import UNREACHED
from sanicbase.jobs.queues.opening import check_unique, open_queue, send
from sanicbase.jobs.spans import enqueuing
from sanicbase.jobs.tables import CompletedJob, OutboxMessage, table_on, tables_of

__all__ = ["add", "capture_messages", "deliver", "run_relays"]

logger = logging.getLogger("sanicbase.jobs")

Capture = Callable[[str, JobMessage], None]

BATCH = 100  # rows in one transaction of the relay
INTERVAL = 1.0  # seconds between two checks of a worker
SEND_TIMEOUT = 5.0  # seconds in which a batch must reach Redis, and then be confirmed; its rows are locked so long
KNOWN_FOR = 86_400_000  # milliseconds for which a queue remembers the id of a row, in case it is sent again
KEEP_COMPLETED = timedelta(days=7)
PURGE_INTERVAL = 3600.0  # seconds


async def add(topic: str, payload: Mapping[str, object], *, queue: str = "default") -> str:
    """Enqueue the job with that name and these arguments, as `enqueue` does. Returns the id of the job.

    It is for code that cannot import the job: the topic is its `name`, and the payload is validated before it runs.
    Raises JobArgumentsInvalid for values that JSON cannot represent, and the same errors as `enqueue`.
    """
    try:
        packed = orjson.dumps(payload)
    except TypeError as exc:
        raise JobArgumentsInvalid(f"The payload for {topic} is invalid: {exc}.") from exc
    if len(packed) > MAX_PAYLOAD:
        raise JobArgumentsInvalid(f"The payload for {topic} has {len(packed)} bytes, and {MAX_PAYLOAD} are allowed.")
    labels = Labels(enqueued=int(time.time() * 1000))
    message = JobMessage(task_id=secrets.token_hex(16), task_name=topic, labels=labels, kwargs=orjson.loads(packed))
    return await deliver(queue, message)


async def deliver(queue: str, message: JobMessage) -> str:
    """Write the message into the outbox of the open transaction, or send it. Returns the id of the job."""
    with enqueuing(queue, message) as traced:
        return await _deliver(queue, traced)


async def _deliver(queue: str, message: JobMessage) -> str:
    if message.labels.unique:
        check_unique(message.task_name)
    connection = _open_transaction() if may_be_in_transaction() else None
    if _captures:
        await _capture(partial(_captures[-1], queue, message), connection)
        return message.task_id
    if connection is None:
        return await send(queue, message)
    name = connection.connection_name
    outbox = table_on(name, OutboxMessage)
    if outbox is None:
        raise SanicBaseError(
            f"The job {message.task_name} cannot be enqueued inside a transaction on {name!r}: that database has no "
            "outbox. Add a subclass of sanicbase.OutboxMessage to a file of MODEL_LIST, and write a migration: "
            "sanicGuider migrate make."
        )
    await outbox.create(using_db=connection, queue=queue, message=message.to_bytes().decode())
    await on_commit(_relay_of(outbox).wake, using=name)
    return message.task_id


_captures: list[Capture] = []


@contextmanager
def capture_messages(capture: Capture) -> Iterator[None]:
    """Pass each message to `capture` when its transaction has committed, instead of sending it. For tests."""
    _captures.append(capture)
    try:
        yield
    finally:
        _captures.remove(capture)


async def _capture(capture: Effect, connection: EngineTransaction | None) -> None:
    if connection is None:
        capture()
    else:
        await on_commit(capture, using=connection.connection_name)


async def run_relays() -> None:
    """Move the rows of all outboxes to Redis until cancelled, and delete old records of completed jobs."""
    relays = [_relay_of(outbox) for outbox in tables_of(OutboxMessage)]
    if not relays:
        logger.info("No model is an OutboxMessage: jobs cannot be enqueued inside a transaction.")
    purged = 0.0
    while True:
        for relay in relays:
            await relay.drain()
        if time.monotonic() - purged > PURGE_INTERVAL:
            purged = time.monotonic()
            await _purge()
        await asyncio.sleep(INTERVAL)


class _Relay:
    """Moves the rows of one outbox to Redis. A process has one for each outbox."""

    def __init__(self, outbox: type[OutboxMessage]) -> None:
        self._outbox = outbox
        self._connection: str = outbox._meta.default_connection or "default"  # noqa: SLF001
        self._is_woken = False
        self._draining: asyncio.Task[None] | None = None
        self._has_failed = False

    def wake(self) -> None:
        """Move the rows soon, in a background task."""
        self._is_woken = True
        task = self._draining
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            self._draining = spawn(self._drain_while_woken(), name=f"relay of {self._outbox.__name__}")

    async def drain(self) -> None:
        """Move all rows. A failure is logged once, and the rows stay."""
        try:
            while await self._move() == BATCH:
                pass
        except (SanicBaseError, *UNREACHED) as exc:
            if not self._has_failed:
                logger.error("Jobs wait in the outbox, because they cannot be moved to the queue: %r", exc)  # noqa: TRY400
            self._has_failed = True
        else:
            self._has_failed = False

    async def _drain_while_woken(self) -> None:
        while self._is_woken:
            self._is_woken = False
            await self.drain()

    async def _move(self) -> int:
        """Move up to BATCH rows. Returns how many it has moved."""
        with use_primary():
            if not await self._outbox.exists():
                return 0
        locked = getattr(get_connections().get(self._connection).capabilities, "support_for_update", False)
        if not locked:  # SQLite: a transaction would keep all writers waiting for Redis
            rows = await _confirmed(await _send_all(await self._outbox.all().order_by("id").limit(BATCH)))
            await self._delete(rows)
        else:
            # At a higher isolation level, MySQL would lock the gap behind the rows, where others insert theirs.
            async with transaction(self._connection, isolation="read committed"):
                rows = await self._outbox.select_for_update(skip_locked=True).order_by("id").limit(BATCH)
                rows = await _confirmed(await _send_all(rows))
                await self._delete(rows)
        await _forget_ids(rows)
        return len(rows)

    async def _delete(self, rows: Sequence[OutboxMessage]) -> None:
        if rows:
            await self._outbox.filter(id__in=[row.id for row in rows]).delete()


_relays: WeakKeyDictionary[type[OutboxMessage], _Relay] = WeakKeyDictionary()


def _relay_of(outbox: type[OutboxMessage]) -> _Relay:
    relay = _relays.get(outbox)
    if relay is None:
        relay = _relays[outbox] = _Relay(outbox)
    return relay


async def _send_all(rows: Sequence[OutboxMessage]) -> list[OutboxMessage]:
    """Send the rows. Returns those that were sent in SEND_TIMEOUT, so that a slow server makes progress; raises one of
    UNREACHED if none was."""
    sent: list[OutboxMessage] = []
    try:
        async with asyncio.timeout(SEND_TIMEOUT):
            for row in rows:
                job_id, labels = _known(row)
                await open_queue(row.queue).push_data(job_id, row.message.encode(), labels, known_for=KNOWN_FOR)
                sent.append(row)
    except UNREACHED:
        if not sent:
            raise
    return sent


async def _confirmed(rows: Sequence[OutboxMessage]) -> list[OutboxMessage]:
    """Those of the rows whose jobs are safe, so that they may be deleted. Raises one of UNREACHED if none are."""
    confirmed: list[OutboxMessage] = []
    async with asyncio.timeout(SEND_TIMEOUT):
        for queue, sent in _by_queue(rows).items():
            if await open_queue(queue).confirm([_known(row)[0] for row in sent], known_for=KNOWN_FOR):
                confirmed += sent
    if rows and not confirmed:
        raise ConnectionError("Redis was replaced, or no replica of it has the jobs yet")
    return confirmed


async def _forget_ids(rows: Sequence[OutboxMessage]) -> None:
    """Shorten the life of the ids: the rows are deleted, so they are not sent again, except by a relay on SQLite that
    read them before."""
    for queue, deleted in _by_queue(rows).items():
        with suppress(*UNREACHED):  # they expire after a day
            await open_queue(queue).forget_ids([_known(row)[0] for row in deleted])


def _by_queue(rows: Sequence[OutboxMessage]) -> dict[str, list[OutboxMessage]]:
    queues: defaultdict[str, list[OutboxMessage]] = defaultdict(list)
    for row in rows:
        queues[row.queue].append(row)
    return queues


def _known(row: OutboxMessage) -> tuple[str, Labels]:
    """The id and the labels of the row's message. A damaged message reaches the queue too, and becomes a dead
    letter."""
    try:
        message = JobMessage.from_bytes(row.message.encode())
    except PoisonedMessage:
        return f"row-{row.id}", Labels()
    return message.task_id, message.labels


async def _purge() -> None:
    for completed in tables_of(CompletedJob):
        try:
            await completed.filter(done_at__lt=datetime.now(UTC) - KEEP_COMPLETED).delete()
        except SanicBaseError as exc:
            logger.warning("Old records of completed jobs could not be deleted: %s", exc)


def _open_transaction() -> EngineTransaction | None:
    """The open transaction: on `default`, if there are several."""
    connections = get_connections()
    clients: list[Any] = [connections.get(name) for name in ("default", *connections.db_config)]
    return next((connection for connection in clients if isinstance(connection, EngineTransaction)), None)
