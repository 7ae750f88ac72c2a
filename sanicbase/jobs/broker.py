"""taskiq's broker on our queues: it passes jobs to taskiq's receiver one by one, and keeps the leases of those that
run.

| event | what happens |
|---|---|
| the worker is killed | its jobs are no longer renewed; another worker takes each of them over after LEASE |
| its event loop is blocked | a thread renews the leases, for a minute; then it counts as hung, and the same happens as after a kill. When the loop continues, it learns that it lost its jobs, and cancels their runs |
| Redis does not respond | runs continue, and no job is taken; afterwards no worker takes over jobs for SETTLING, in which the others renew theirs |
| Redis loses its data | waiting jobs are lost; a run that fails still writes its retry |
| the receiver is stopped before it gets a job that was taken | the job is put back |
"""  # noqa: E501

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any

from taskiq import AckableMessage, AsyncBroker, BrokerMessage

from sanicbase.alerts import report_event
from sanicbase.jobs.declaration import Job
from sanicbase.jobs.heartbeat_thread import HeartbeatThread
from sanicbase.jobs.letter import DeadLetter
from sanicbase.jobs.message import JobMessage, PoisonedMessage
from sanicbase.jobs.queues.interface import UNREACHED, NothingReady, Outcome, Queue, Taken
from sanicbase.jobs.status import StatusWriter

__all__ = ["Delivery", "QueueBroker", "ReceivedJob"]

logger = logging.getLogger("sanicbase.jobs")

POLL = 1.0  # seconds between two checks for delayed jobs and silent workers
HEARTBEAT = 1.5  # seconds between two renewals of a run's lease, which lasts seven
PAUSE = 0.5  # seconds until the server is asked again
ANSWER_TIMEOUT = 2.0  # seconds that the server has to renew a lease
UNKNOWN_PAUSE = 5.0  # seconds until a job that this worker does not know is offered again
MAX_DEATHS = 10  # the number of workers that may die during the runs of one job
TIDY_INTERVAL = 3600.0  # seconds


class Delivery:
    """A job that this worker has taken, until its run has ended."""

    def __init__(self, queue: Queue, consumer: str, taken: Taken, message: JobMessage) -> None:
        self.queue = queue
        self.message = message
        self.taken = taken
        self.is_lost = False
        self.status: StatusWriter | None = None
        self.on_lost: Callable[[], object] = bool  # does nothing
        self._consumer = consumer

    def lose(self) -> None:
        """Cancel the run, because another worker has taken the job over, or the job was dropped."""
        self.is_lost = True
        self.on_lost()

    async def finish(
        self,
        outcome: Outcome,
        *,
        message: JobMessage | None = None,
        pause: float = 0.0,
        letter: DeadLetter | None = None,
    ) -> bool:
        """Record the outcome of the run as soon as the server responds. Returns False when the job is lost."""
        message = message or self.message
        while True:
            with suppress(*UNREACHED):
                return await self.queue.finish(
                    self._consumer,
                    self.taken,
                    outcome,
                    message=message.to_bytes(),
                    pause=pause,
                    unique=message.labels.unique,
                    letter=letter.to_bytes() if letter else b"",
                )
            await asyncio.sleep(PAUSE)


class ReceivedJob(AckableMessage):
    """What the receiver gets: taskiq's message with its delivery."""

    delivery: Any


class QueueBroker(AsyncBroker):
    """Passes the jobs of several queues, in turn, to the receiver.

    It implements taskiq's interface: `kick` sends a message, `listen` yields messages. A message that is not a job
    becomes a dead letter. A job that this worker does not know goes back, for a newer worker.
    """

    def __init__(
        self,
        queues: Sequence[Queue],
        jobs: Mapping[str, Job[Any]],
        *,
        concurrency: int,
    ) -> None:
        super().__init__()
        self._concurrency = concurrency
        self._ready: deque[Delivery] = deque()  # taken in one request; there is room for all of them
        self.consumer = f"{os.uname().nodename if hasattr(os, 'uname') else ''}-{os.getpid()}-{secrets.token_hex(4)}"
        self._queues = list(queues)
        self._jobs = jobs
        self._running: set[Delivery] = set()
        self._heart: asyncio.Task[None] | None = None
        self._heartbeat_thread = HeartbeatThread(self.consumer, self._entries)
        self._is_unavailable = False
        self._looked: dict[str, float] = {}  # for silent workers, by queue
        self._tidied = time.monotonic()
        self._unknown: set[str] = set()

    async def startup(self) -> None:
        await super().startup()
        self._heart = asyncio.create_task(self._beat(), name="heartbeat of jobs")
        self._heartbeat_thread.start()

    async def shutdown(self) -> None:
        """Put back the jobs that have not started, and remove this consumer. Every run must have ended."""
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.wait({self._heart})
            await self._heartbeat_thread.stop()
        with suppress(*UNREACHED):
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._put_back(list(self._ready))
                for queue in self._queues:
                    await queue.forget_consumer(self.consumer)
        await super().shutdown()

    async def kick(self, message: BrokerMessage) -> None:
        """Send a message to the first queue, or to the one that its label names."""
        name = message.labels.get("queue", self._queues[0].name)
        queue = next((queue for queue in self._queues if queue.name == name), self._queues[0])
        await queue.push(JobMessage.from_bytes(message.message))

    async def listen(self) -> AsyncGenerator[bytes | AckableMessage, None]:
        """Yield a job whenever the receiver has room for it."""
        while True:
            delivery = await self._next()
            end = partial(self._running.discard, delivery)
            yield ReceivedJob.model_construct(data=delivery.taken.data, ack=end, delivery=delivery)

    async def _next(self) -> Delivery:
        while not self._ready:
            last: dict[Queue, NothingReady] = {}
            for queue in list(self._queues):
                self._queues.append(self._queues.pop(0))  # it is the next queue's turn
                taking = asyncio.create_task(self._take(queue))
                try:
                    taken = await asyncio.shield(taking)
                except asyncio.CancelledError:
                    await self._give_up(taking)
                    raise
                if isinstance(taken, list):
                    self._ready += taken
                    break
                last[queue] = taken
            else:
                await self._wait(last)
        return self._ready.popleft()

    async def _give_up(self, taking: asyncio.Task[list[Delivery] | NothingReady]) -> None:
        """Put back a job that the receiver did not get. If Redis does not respond, its lease expires, as after a
        kill."""
        with suppress(*UNREACHED):
            async with asyncio.timeout(ANSWER_TIMEOUT):
                late = await taking
                if isinstance(late, list):
                    await self._put_back(late)

    async def _put_back(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            await delivery.finish(Outcome.AGAIN)
            self._running.discard(delivery)

    async def _take(self, queue: Queue) -> list[Delivery] | NothingReady:
        """Take as many ready jobs as there is room for."""
        while True:
            room = max(1, self._concurrency - len(self._running))
            try:
                takes_over = self._may_take_over(queue)
                taken = await queue.take(self.consumer, takes_over=takes_over, count=room)
                self._note_success(queue)
                if isinstance(taken, NothingReady):
                    return taken
                if takes_over:
                    del self._looked[queue.name]  # there may be more
                if accepted := [delivery for job in taken if (delivery := await self._accept(queue, job))]:
                    return accepted
            except UNREACHED as exc:
                self._note_failure(queue, exc)
                await asyncio.sleep(PAUSE)
                return NothingReady("$", 0)

    async def _accept(self, queue: Queue, taken: Taken) -> Delivery | None:
        """The delivery of a job, or None if it cannot run here and was put back or given up."""
        try:
            message = JobMessage.from_bytes(taken.data)
        except PoisonedMessage as exc:
            letter = DeadLetter.of(taken.data, reason=str(exc))
            text = f"A message in the queue {queue.name} is not a job, and is now a dead letter: {exc}"
            logger.error("%s", text)  # noqa: TRY400
            report_event("job", queue.name, text)
            while True:
                with suppress(*UNREACHED):
                    await queue.finish(self.consumer, taken, Outcome.DEAD, letter=letter.to_bytes())
                    return None
                await asyncio.sleep(PAUSE)
        delivery = Delivery(queue, self.consumer, taken, message)
        if taken.times > MAX_DEATHS:
            reason = f"{taken.times - 1} workers died during its runs."
            text = f"The job {message.task_name} [{message.task_id}] is now a dead letter: {reason}"
            logger.error("%s", text)
            report_event("job", message.task_name, text)
            await delivery.finish(Outcome.DEAD, letter=DeadLetter.of(taken.data, reason=reason))
            return None
        if message.task_name not in self._jobs:
            if message.task_name not in self._unknown and len(self._unknown) < 1000:
                self._unknown.add(message.task_name)
                logger.warning(
                    "There is a job %s, which this worker does not know. It is left to a newer worker. List it in the "
                    "scripts if there is none.",
                    message.task_name,
                )
            await delivery.finish(Outcome.AGAIN, pause=UNKNOWN_PAUSE)
            return None
        self._running.add(delivery)
        return delivery

    async def _wait(self, nothing: Mapping[Queue, NothingReady]) -> None:
        """Return when one of the queues may have a job."""
        waits = [
            asyncio.create_task(self._wait_for(queue, state.last, POLL if state.wait is None else state.wait / 1000))
            for queue, state in nothing.items()
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)

    async def _wait_for(self, queue: Queue, last: str, seconds: float) -> None:
        if last == "$":  # the server does not respond
            return
        try:
            async with asyncio.timeout(POLL + ANSWER_TIMEOUT):  # the client has no timeout of its own
                await queue.wait(last, max(1, round(min(seconds, POLL) * 1000)))
        except UNREACHED as exc:
            self._note_failure(queue, exc)
            await asyncio.sleep(PAUSE)

    async def _beat(self) -> None:
        """Renew the leases of the runs."""
        while True:
            self._heartbeat_thread.beat()
            await asyncio.sleep(HEARTBEAT)
            tidies = time.monotonic() - self._tidied > TIDY_INTERVAL
            for queue in list(self._queues):
                try:
                    async with asyncio.timeout(ANSWER_TIMEOUT):
                        await self._keep(queue)
                        if tidies:
                            await queue.tidy()
                except UNREACHED as exc:
                    self._note_failure(queue, exc)
            if tidies:
                self._tidied = time.monotonic()

    async def _keep(self, queue: Queue) -> None:
        deliveries = {delivery.taken.entry: delivery for delivery in self._running if delivery.queue is queue}
        lost = await queue.keep(self.consumer, list(deliveries)) if deliveries else ()
        for entry in lost:
            if deliveries[entry] in self._running:  # it has not ended in the meantime
                deliveries[entry].lose()

    def _entries(self) -> dict[str, list[str]]:
        """The entries of the runs in progress by queue. Another thread calls this while the loop is blocked."""
        entries: defaultdict[str, list[str]] = defaultdict(list)
        for delivery in list(self._running):
            entries[delivery.queue.name].append(delivery.taken.entry)
        return entries

    def _may_take_over(self, queue: Queue) -> bool:
        now = time.monotonic()
        if now - self._looked.get(queue.name, -inf) < POLL:
            return False
        self._looked[queue.name] = now
        return True

    def _note_failure(self, queue: Queue, error: Exception) -> None:
        if not self._is_unavailable:
            logger.error("%s is unavailable (%r): no job starts until it answers.", queue.server, error)
        self._is_unavailable = True

    def _note_success(self, queue: Queue) -> None:
        if self._is_unavailable:
            logger.info("%s is available again: jobs start.", queue.server)
        self._is_unavailable = False
