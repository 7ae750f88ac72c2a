"""The dead letters of a queue in RabbitMQ, which has no list of them: they are received, and returned."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aio_pika.abc import AbstractIncomingMessage

from sanicbase.brokers.rabbitmq import rabbit_errors
from sanicbase.jobs.letter import DeadLetter
from sanicbase.jobs.queues.inspection import JobState, ListedJob
from sanicbase.jobs.queues.rabbitmq_queue import ANSWER_TIMEOUT, RabbitQueue

__all__ = ["RabbitInspection"]


class RabbitInspection(RabbitQueue):
    """A queue in RabbitMQ, seen from outside. While one command has the letters, another one does not see them."""

    states = (JobState.DEAD,)

    async def listed(self, state: JobState, limit: int) -> list[ListedJob]:
        """The first `limit` dead letters, the oldest ones first."""
        jobs: list[ListedJob] = []
        async with aclosing(self._letters()) as letters:
            async for message in letters:
                jobs.append(self._listed(message))
                if len(jobs) == limit:
                    break
        return jobs

    async def find(self, job_id: str) -> ListedJob | None:
        """The dead letter with that id."""
        async with aclosing(self._letters()) as letters:
            async for message in letters:
                if message.message_id == job_id:
                    return self._listed(message)
        return None

    async def retry(self, job: ListedJob) -> bool:
        """Run a dead job now, with all of its retries. Returns False when it is not there any more."""
        await self._orders.restore(job.id)
        return await self._remove(job.id, again=job.afresh)

    async def drop(self, job: ListedJob) -> bool:
        """Delete a dead letter. Returns False when it is not there any more."""
        return await self._remove(job.id)

    async def _remove(self, job_id: str, again: bytes = b"") -> bool:
        async with aclosing(self._letters()) as letters:
            async for message in letters:
                if message.message_id == job_id:
                    if again:
                        await self._add(job_id, again, 0)
                    await self._acknowledge(message)
                    return True
        return False

    async def _letters(self) -> AsyncGenerator[AbstractIncomingMessage, None]:
        """The dead letters, which return to their queue when the channel closes."""
        await self._declare(await self._broker.publishing())
        channel = await self._broker.consuming()
        try:
            with rabbit_errors():
                queue = await channel.get_queue(self._dead, ensure=False)
                while (message := await queue.get(fail=False, timeout=ANSWER_TIMEOUT)) is not None:
                    yield message
        finally:
            with rabbit_errors():
                await channel.close()

    def _listed(self, message: AbstractIncomingMessage) -> ListedJob:
        letter = DeadLetter.model_validate_json(message.body)
        return ListedJob(
            message.message_id or "", self.name, JobState.DEAD, letter.message.encode(), letter.died, letter
        )
