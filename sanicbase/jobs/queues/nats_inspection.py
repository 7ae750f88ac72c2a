"""What is in a queue in NATS JetStream, whose streams can be read without consuming them."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from sanicbase.brokers.jetstream import nats_errors
from sanicbase.jobs.letter import DeadLetter
from sanicbase.jobs.queues.inspection import JobState, ListedJob
from sanicbase.jobs.queues.nats_queue import CONSUMER, NatsQueue, delay_of, job_id_of

__all__ = ["NatsInspection"]


class NatsInspection(NatsQueue):
    """A queue in NATS, seen from outside. A job that a worker has received counts as running."""

    states = tuple(JobState)

    async def listed(self, state: JobState, limit: int) -> list[ListedJob]:
        """The first `limit` jobs in that state; dead jobs from the latest one."""
        jobs: list[ListedJob] = []
        async with aclosing(self._letters() if state is JobState.DEAD else self._jobs(state)) as listed:
            async for job in listed:
                if job.state is state:
                    jobs.append(job)
                if len(jobs) == limit:
                    break
        return jobs

    async def find(self, job_id: str) -> ListedJob | None:
        """The job with that id, in any state. Each job of the queue is read until it is found."""
        if letter := await self._letter(job_id):
            return letter
        async with aclosing(self._jobs()) as jobs:
            async for job in jobs:
                if job.id == job_id:
                    return job
        return None

    async def retry(self, job: ListedJob) -> bool:
        """Run a dead or delayed job now, with all of its retries. Returns False when it is not there any more."""
        if job.state not in (JobState.DEAD, JobState.DELAYED) or not await self._exists(job):
            return False
        await self._orders.restore(job.id)
        await self._publish(self._subject, job.afresh, f"{job.id}-after-{job.entry}", job_id=job.id)
        return await self._delete(job)

    async def drop(self, job: ListedJob) -> bool:
        """Delete a job. A run in progress is cancelled within seconds. Returns False when it is not there any more."""
        if job.state is not JobState.DEAD:
            await self._orders.cancel(job.id)
        return await self._exists(job) and await self._delete(job)

    async def _jobs(self, state: JobState | None = None) -> AsyncGenerator[ListedJob, None]:
        """The jobs that are not dead, the oldest ones first; not the running ones if only waiting ones are needed."""
        client = await self._broker.client()
        with nats_errors():
            await self._declare(client)
            jetstream = client.jetstream()
            delivered = (await jetstream.consumer_info(self._stream, CONSUMER)).delivered
            last = delivered.stream_seq if delivered else 0
            sequence = last + 1 if state is JobState.WAITING else 1
            while True:
                try:
                    message = await jetstream.get_msg(self._stream, sequence, subject=self._subject, next=True)
                except NotFoundError:
                    return
                sequence = (message.seq or 0) + 1
                yield self._listed(message, is_delivered=sequence - 1 <= last)

    async def _letters(self) -> AsyncGenerator[ListedJob, None]:
        """The dead letters, the latest ones first."""
        client = await self._broker.client()
        with nats_errors():
            await self._declare(client)
            jetstream = client.jetstream()
            stream = (await jetstream.stream_info(self._dead_stream)).state
            for sequence in range(stream.last_seq, max(1, stream.first_seq) - 1, -1):
                try:
                    yield self._buried(await jetstream.get_msg(self._dead_stream, sequence))
                except NotFoundError:  # dropped, or run again
                    continue

    async def _letter(self, job_id: str) -> ListedJob | None:
        client = await self._broker.client()
        with nats_errors():
            await self._declare(client)
            try:
                message = await client.jetstream().get_last_msg(self._dead_stream, f"{self._dead_subject}.{job_id}")
            except NotFoundError:
                return None
        return self._buried(message)

    async def _exists(self, job: ListedJob) -> bool:
        if job.state is JobState.DEAD:
            letter = await self._letter(job.id)
            return letter is not None and letter.entry == job.entry
        with nats_errors():
            try:
                await (await self._broker.jetstream()).get_msg(self._stream, int(job.entry))
            except NotFoundError:
                return False
        return True

    async def _delete(self, job: ListedJob) -> bool:
        stream = self._dead_stream if job.state is JobState.DEAD else self._stream
        with nats_errors():
            return await (await self._broker.jetstream()).delete_msg(stream, int(job.entry))

    def _listed(self, message: RawStreamMsg, *, is_delivered: bool) -> ListedJob:
        sequence, sent = message.seq or 0, round(message.time.timestamp() * 1000) if message.time else 0
        due = sent + delay_of(message.headers)
        state = JobState.RUNNING if is_delivered else JobState.WAITING
        if due > time.time() * 1000:
            state = JobState.DELAYED
        job_id = job_id_of(message.headers, sequence)
        return ListedJob(job_id, self.name, state, message.data or b"", due, entry=str(sequence))

    def _buried(self, message: RawStreamMsg) -> ListedJob:
        letter = DeadLetter.model_validate_json(message.data or b"")
        job_id = (message.subject or "").rpartition(".")[2]
        return ListedJob(
            job_id, self.name, JobState.DEAD, letter.message.encode(), letter.died, letter, entry=str(message.seq)
        )
