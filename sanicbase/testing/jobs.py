"""The jobs that a test enqueues: captured, asserted, and run in the test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sanicbase.jobs import Job, JobRun
from sanicbase.jobs.completion import complete_once
from sanicbase.jobs.message import JobMessage
from sanicbase.jobs.outbox import capture_messages
from sanicbase.jobs.run import set_current_job

__all__ = ["CapturedJob", "CapturedJobs", "capture_jobs"]


@dataclass(frozen=True)
class CapturedJob:
    """A job that was enqueued; `arguments` are as in JSON, `delay` in seconds."""

    id: str
    name: str
    arguments: dict[str, Any]
    queue: str
    delay: float
    message: JobMessage


class CapturedJobs(list[CapturedJob]):
    """The jobs that were enqueued so far and have not run, in their order."""

    def arguments_of(self, job: Job[Any]) -> list[dict[str, Any]]:
        """The arguments of each job of that function."""
        return [captured.arguments for captured in self if captured.name == job.name]

    async def run(self, *jobs: Job[Any]) -> int:
        """Run the captured jobs here and now, delayed ones as well, and those that they enqueue; returns their number.

        Each is validated as in a worker, and runs once: its exception is raised. Raises LookupError for a job that is
        not among `jobs`.
        """
        known = {job.name: job for job in jobs}
        count = 0
        while self:
            captured = self.pop(0)
            if captured.name not in known:
                raise LookupError(f"The job {captured.name} was enqueued, but is not among the jobs to run.")
            await _run(known[captured.name], captured)
            count += 1
        return count


@contextmanager
def capture_jobs() -> Iterator[CapturedJobs]:
    """Capture what this process enqueues within the block; nothing reaches Redis or an outbox.

        with capture_jobs() as jobs:
            await http.post("/shop/orders", json={})
            assert jobs.arguments_of(send_mail) == [{"user_id": 7}]
            await jobs.run(send_mail)

    A job of a transaction is captured when it has committed.
    """
    jobs = CapturedJobs()

    def capture(queue: str, message: JobMessage) -> None:
        labels = message.labels
        jobs.append(
            CapturedJob(message.task_id, message.task_name, dict(message.kwargs), queue, labels.delay / 1000, message)
        )

    with capture_messages(capture):
        yield jobs


async def _run(job: Job[Any], captured: CapturedJob) -> None:
    arguments = job.payload.unpack(captured.message.payload())
    with set_current_job(JobRun(captured.id, job.name, 1)):
        if job.once:
            await complete_once(job, captured.id, partial(job.function, **arguments))
        else:
            await job(**arguments)
