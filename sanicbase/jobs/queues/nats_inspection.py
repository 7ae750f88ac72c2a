"""The dead letters of a queue in NATS JetStream, each of which has a subject of its own."""

from __future__ import annotations

from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from sanicbase.brokers.jetstream import nats_errors
from sanicbase.jobs.letter import DeadLetter
from sanicbase.jobs.queues.inspection import JobState, ListedJob
from sanicbase.jobs.queues.nats_queue import NatsQueue

__all__ = ["NatsInspection"]


class NatsInspection(NatsQueue):
    """A queue in NATS, seen from outside."""

    states = (JobState.DEAD,)

    async def listed(self, state: JobState, limit: int) -> list[ListedJob]:
        """The first `limit` dead letters, the latest ones first."""
        client = await self._broker.client()
        jobs: list[ListedJob] = []
        with nats_errors():
            await self._declare(client)
            jetstream = client.jetstream()
            stream = (await jetstream.stream_info(self._dead_stream)).state
            for sequence in range(stream.last_seq, max(1, stream.first_seq) - 1, -1):
                if len(jobs) == limit:
                    break
                try:
                    jobs.append(self._listed(await jetstream.get_msg(self._dead_stream, sequence)))
                except NotFoundError:  # dropped, or run again
                    continue
        return jobs

    async def find(self, job_id: str) -> ListedJob | None:
        """The dead letter with that id."""
        client = await self._broker.client()
        with nats_errors():
            await self._declare(client)
            try:
                message = await client.jetstream().get_last_msg(self._dead_stream, f"{self._dead_subject}.{job_id}")
            except NotFoundError:
                return None
        return self._listed(message)

    async def retry(self, job: ListedJob) -> bool:
        """Run a dead job now, with all of its retries. Returns False when it is not there any more."""
        if await self.find(job.id) is None:
            return False
        await self._publish(self._subject, job.afresh, f"{job.id}-after-{job.entry}", job_id=job.id)
        return await self.drop(job)

    async def drop(self, job: ListedJob) -> bool:
        """Delete a dead letter. Returns False when it is not there any more."""
        current = await self.find(job.id)
        if current is None or current.entry != job.entry:
            return False
        with nats_errors():
            return await (await self._broker.jetstream()).delete_msg(self._dead_stream, int(job.entry))

    def _listed(self, message: RawStreamMsg) -> ListedJob:
        letter = DeadLetter.model_validate_json(message.data or b"")
        job_id = (message.subject or "").rpartition(".")[2]
        return ListedJob(
            job_id, self.name, JobState.DEAD, letter.message.encode(), letter.died, letter, entry=str(message.seq)
        )
