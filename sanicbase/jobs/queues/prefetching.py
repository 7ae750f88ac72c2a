"""What queues in RabbitMQ and in NATS have in common: the server sends jobs ahead of the worker that takes them."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from sanicbase.jobs.message import JobMessage, Labels
from sanicbase.jobs.queues.interface import KNOWN_FOR, NothingReady, Outcome, Taken
from sanicbase.jobs.queues.orders import Orders

__all__ = ["PrefetchingQueue"]

logger = logging.getLogger("sanicbase.jobs")

M = TypeVar("M")


class PrefetchingQueue(ABC, Generic[M]):
    """One queue of a service, whose messages are of the type M."""

    server: str

    def __init__(self, name: str, orders: Orders) -> None:
        self.name = name
        self.pause = orders.pause
        self._orders = orders
        self._arrived: deque[M] = deque()
        self._arrival = asyncio.Event()
        self._held: dict[str, M] = {}  # the messages of the jobs that were taken, by their entries

    async def push(self, message: JobMessage, *, known_for: int = KNOWN_FOR) -> str:
        """Add a job. Returns its id."""
        return await self.push_data(message.task_id, message.to_bytes(), message.labels, known_for=known_for)

    async def push_data(self, job_id: str, data: bytes, labels: Labels, *, known_for: int = KNOWN_FOR) -> str:
        """Like `push`, for bytes that may not be a message; a worker checks them."""
        delay = max(0, labels.due - round(time.time() * 1000)) if labels.due else labels.delay
        await self._add(job_id, data, delay)
        return job_id

    async def confirm(self, job_ids: Sequence[str], *, known_for: int) -> bool:
        """Return True: the server answers when it has a job on disk, and on as many replicas as it is told to have."""
        return True

    async def forget_ids(self, job_ids: Sequence[str]) -> None:
        """Do nothing: the server remembers no ids, or forgets them by itself."""

    async def take(self, consumer: str, *, takes_over: bool, count: int = 1) -> list[Taken] | NothingReady:
        """Take up to `count` jobs of those that the server has sent."""
        if await self._orders.is_paused():
            await self.forget_consumer(consumer)
            self._arrival.clear()
            return NothingReady("", None)
        await self._request(consumer, count)
        self._arrival.clear()
        taken: list[Taken] = []
        while self._arrived and len(taken) < count:
            message = self._arrived[0]
            if (remaining := self._remaining(message)) > 0:
                if taken:  # they are returned even if this one cannot be handed back
                    break
                await self._hand_back(message, remaining)
                continue
            one = self._taken(message)
            if self._orders.is_cancelled(one.job_id):
                if taken:
                    break
                await self._drop_if_cancelled(message, one)
                continue
            self._arrived.popleft()
            is_running_here = one.entry in self._held  # given twice, because NATS was away for longer than the lease
            self._held[one.entry] = message
            if not is_running_here:
                taken.append(one)
        return taken or NothingReady("", None)

    async def _drop_if_cancelled(self, message: M, job: Taken) -> None:
        """Delete the first message that has arrived, unless its job was restored in the meantime."""
        await self._orders.refresh()
        if self._orders.is_cancelled(job.job_id) and self._arrived and self._arrived[0] is message:
            self._arrived.popleft()
            await self._acknowledge(message)
            logger.info("The job [%s] was cancelled before it ran.", job.job_id)

    async def keep(self, consumer: str, entries: Sequence[str]) -> set[str]:
        """Renew the leases of these runs and of the messages that have arrived. Returns those that are lost, because
        their server gives them to others or because they are cancelled."""
        self._orders.poll()  # a worker without room takes nothing, so it would not ask
        lost = await self._renewed(entries)
        for entry in entries:
            message = self._held.get(entry)
            if message is not None and self._orders.is_cancelled(self._taken(message).job_id):
                await self._acknowledge(message)
                self._held.pop(entry, None)
                lost.add(entry)
        return lost

    async def finish(
        self,
        consumer: str,
        taken: Taken,
        outcome: Outcome,
        *,
        message: bytes = b"",
        pause: float = 0.0,
        unique: str = "",
        letter: bytes = b"",
    ) -> bool:
        """End a run. Returns False if this queue no longer has the job. The call may be repeated."""
        held = self._held.get(taken.entry)
        if held is None:
            return False
        if outcome is Outcome.AGAIN:
            await self._replace(taken, message, round(pause * 1000))
        elif outcome is Outcome.DEAD:
            await self._bury(taken, letter)
        await self._acknowledge(held)
        self._held.pop(taken.entry, None)
        return True

    async def wait(self, last: str, milliseconds: int) -> None:
        """Return when a job has arrived, when the channel is closed, or after the timeout."""
        with suppress(TimeoutError):
            async with asyncio.timeout(milliseconds / 1000):
                await self._arrival.wait()

    async def cancel(self, job_id: str) -> bool:
        """Have workers drop the job, and cancel its run. Returns True, because nobody knows whether there is one."""
        await self._orders.cancel(job_id)
        return True

    async def tidy(self) -> None:
        """Do nothing: the server keeps nothing of workers that are gone."""

    @abstractmethod
    async def forget_consumer(self, consumer: str) -> None:
        """Put back the jobs that have arrived and have not started, and request no more."""

    @abstractmethod
    async def _renewed(self, entries: Sequence[str]) -> set[str]:
        """Renew leases. Returns the entries whose jobs the server gives to others."""

    @abstractmethod
    async def _request(self, consumer: str, count: int) -> None:
        """Have the server send up to `count` jobs."""

    @abstractmethod
    def _remaining(self, message: M) -> float:
        """How much is left of the delay of a message that has arrived."""

    @abstractmethod
    async def _hand_back(self, message: M, remaining: float) -> None:
        """Have the server send the first message that has arrived once more, after the rest of its delay."""

    @abstractmethod
    def _taken(self, message: M) -> Taken:
        """The job of a message."""

    @abstractmethod
    async def _add(self, job_id: str, data: bytes, delay: int) -> None:
        """Add a message, and wait until the server has it on disk. The delay is in milliseconds."""

    @abstractmethod
    async def _replace(self, taken: Taken, data: bytes, delay: int) -> None:
        """Add the message that takes the place of one that was taken."""

    @abstractmethod
    async def _bury(self, taken: Taken, letter: bytes) -> None:
        """Add a dead letter."""

    @abstractmethod
    async def _acknowledge(self, message: M) -> None:
        """Have the server delete a message. The call may be repeated."""
