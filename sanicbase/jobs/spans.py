"""Jobs and timers as spans: a run of a job belongs to the trace that has enqueued it, a run of a timer begins one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from sanicbase.jobs.message import JobMessage
from sanicbase.tracing import current_recorder, sampled_recorder

__all__ = ["enqueuing", "running_job", "running_timer"]

UNRECORDED: AbstractContextManager[object] = nullcontext()


@contextmanager
def enqueuing(queue: str, message: JobMessage) -> Iterator[JobMessage]:
    """The message with the current trace. If the trace is recorded, the block is a span."""
    recorder = current_recorder()
    if recorder is None:
        yield message
    elif sampled_recorder() is None:
        yield message.relabelled(trace=recorder.carried())
    else:
        with recorder.span(f"send {message.task_name}", "producer", _about(message, queue)):
            yield message.relabelled(trace=recorder.carried())


def running_job(queue: str, message: JobMessage) -> AbstractContextManager[object]:
    """A span for a run of the job, in the trace that has enqueued it."""
    recorder = current_recorder()
    if recorder is None:
        return UNRECORDED
    attributes = {**_about(message, queue), "sanicbase.job.attempt": message.labels.attempt}
    return recorder.root(f"process {message.task_name}", "consumer", attributes, parent=message.labels.trace)


def running_timer(name: str, due: str) -> AbstractContextManager[object]:
    """A span for a run of the timer, which begins a trace."""
    recorder = current_recorder()
    if recorder is None:
        return UNRECORDED
    return recorder.root(f"timer {name}", "internal", {"sanicbase.timer.name": name, "sanicbase.timer.due": due})


def _about(message: JobMessage, queue: str) -> dict[str, str | int]:
    return {
        "messaging.destination.name": queue,
        "messaging.message.id": message.task_id,
        "sanicbase.job.name": message.task_name,
    }
