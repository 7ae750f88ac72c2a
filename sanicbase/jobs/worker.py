"""run_jobs: takes jobs and runs a limited number of them at once, until it is cancelled."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from taskiq import AckableMessage
from taskiq.receiver import Receiver

from sanicbase.alerts import report_event
from sanicbase.brokers import get_broker
from sanicbase.config import Config
from sanicbase.db.routing import start_scope
from sanicbase.jobs.broker import Delivery, QueueBroker, ReceivedJob
from sanicbase.jobs.completion import complete_once
from sanicbase.jobs.declaration import Job, check_jobs
from sanicbase.jobs.executor import end_task
from sanicbase.jobs.letter import DeadLetter
from sanicbase.jobs.payload import JobArgumentsInvalid
from sanicbase.jobs.process_pool import (
    FailedInProcess,
    PooledProcess,
    ProcessDied,
    ProcessPool,
    check_importable,
    default_size,
)
from sanicbase.jobs.queue_lengths import measure_queues
from sanicbase.jobs.queues.interface import Outcome
from sanicbase.jobs.queues.opening import check_unique, open_queue
from sanicbase.jobs.run import JobRun, set_current_job
from sanicbase.jobs.spans import running_job
from sanicbase.jobs.status import RunState, StatusWriter, set_status_writer
from sanicbase.log import set_log_context
from sanicbase.log.redaction import Redactor
from sanicbase.metrics import Counter, Histogram
from sanicbase.metrics.instruments import RUN_SECONDS, is_counting

__all__ = ["run_jobs"]

logger = logging.getLogger("sanicbase.jobs")

RABBIT_TIMEOUT = 1800.0  # seconds; RabbitMQ's default
# Prometheus has a label `job` of its own.
JOB_RUNS = Counter("sanicbase_job_runs_total", "Runs of jobs by their outcome.", ["job_name", "outcome"])
JOB_SECONDS = Histogram("sanicbase_job_run_seconds", "How long runs of jobs took.", ["job_name"], bounds=RUN_SECONDS)
DEAD_LETTERS = Counter("sanicbase_job_dead_letters_total", "Jobs that failed for good.", ["job_name"])
STOP_TIMEOUT = 3.0  # seconds in which a worker that stops puts its jobs back


@dataclass(frozen=True)
class _Result:
    """How a run ended: `succeeded`, `failed`, `timed out`, `stopped` (with its worker) or `lost` (to another
    worker)."""

    outcome: str
    error: BaseException | None = None


async def run_jobs(
    jobs: Sequence[Job[Any]],
    config: Config,
    *,
    concurrency: int = 10,
    pool_size: int | None = None,
    drain: asyncio.Event | None = None,
    on_end: Callable[[], object] = bool,
) -> None:
    """Take and run jobs until cancelled, inside the service's lifespan, at most `concurrency` at once, of which at most
    `pool_size` with `process`: one for each CPU by default.

    After a cancellation, no further job is taken, and runs in progress get GRACEFUL_SHUTDOWN_TIMEOUT seconds. Then they
    are cancelled, awaited, and put back, so that another worker starts them again at once. When `drain` is set, no
    further job is taken either, but runs in progress finish, however long they take; then this returns. `on_end` is
    called after each run.
    """
    check_jobs(jobs)
    _check_broker(jobs)
    for job in jobs:
        if job.process:
            check_importable(job)
        DEAD_LETTERS.inc(job.name, amount=0)  # Prometheus sees no increase in a series that begins with 1
    logging.getLogger("taskiq").setLevel(logging.WARNING)  # our own log has a line for each run
    known = {job.name: job for job in jobs}
    queues = [open_queue(name) for name in dict.fromkeys(job.queue for job in jobs)]
    pool = ProcessPool(jobs, pool_size or default_size(workers=1))
    runs = _Runs(known, Redactor(config.LOG_REDACT), pool, on_end)
    broker = QueueBroker(queues, known, concurrency=concurrency)
    receiver = _Receiver(
        runs,
        broker,
        validate_params=False,
        max_async_tasks=concurrency,
        wait_tasks_timeout=config.GRACEFUL_SHUTDOWN_TIMEOUT,
    )
    stop = asyncio.Event()
    listening = asyncio.create_task(receiver.listen(stop), name="jobs")
    measuring = asyncio.create_task(measure_queues(queues)) if is_counting() else None
    draining = asyncio.create_task((drain or asyncio.Event()).wait())
    try:
        await asyncio.wait({listening, draining}, return_when=asyncio.FIRST_COMPLETED)
        if draining.done():
            receiver.wait_tasks_timeout = None
            stop.set()
        await asyncio.shield(listening)
    finally:
        draining.cancel()
        stop.set()
        if measuring is not None:
            measuring.cancel()
        if receiver.wait_tasks_timeout is None:
            await asyncio.wait({listening}, timeout=config.GRACEFUL_SHUTDOWN_TIMEOUT)
        else:
            await asyncio.wait({listening})
        await receiver.end_all()
        await asyncio.wait({listening})
        await pool.close()
        await broker.shutdown()
        if not listening.cancelled() and (error := listening.exception()) is not None:
            logger.error("Taking jobs failed.", exc_info=error)


def _check_broker(jobs: Sequence[Job[Any]]) -> None:
    """Say what the broker of JOBS_URL cannot do. Raises ConfigError for a job that it cannot have."""
    broker = get_broker()
    if broker is None:
        return
    for job in jobs:
        if job.is_unique:
            check_unique(job.name)
    long = [job.name for job in jobs if job.timeout is None or job.timeout >= RABBIT_TIMEOUT]
    if broker.server == "RabbitMQ" and long:
        logger.warning(
            "RabbitMQ starts a job a second time that runs for longer than its consumer_timeout, by default 30 minutes."
            " Give a shorter `timeout` to %s, or raise that setting of the server.",
            ", ".join(long),
        )


class _Receiver(Receiver):
    """taskiq's receiver, which keeps the tasks of its runs, so that they can be cancelled. It runs the job of a message
    without taskiq's own tasks, results and middlewares, of which a run needs none."""

    def __init__(self, runs: _Runs, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._runs = runs
        self._tasks: set[asyncio.Task[Any]] = set()

    async def callback(self, message: bytes | AckableMessage, raise_err: bool = False) -> None:
        """Run one job. It raises nothing."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (for mypy: a coroutine runs in one)
        assert isinstance(message, ReceivedJob)  # noqa: S101  (likewise: the broker sends no others)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._runs.run(message.delivery)
        finally:
            message.ack()

    async def end_all(self) -> None:
        """Cancel the runs in progress; each puts its job back."""
        running = set(self._tasks)
        for run in running:
            run.cancel()
        if running:
            await asyncio.wait(running)


class _Runs:
    """Runs deliveries, and records how each has ended. It raises nothing."""

    def __init__(
        self, jobs: dict[str, Job[Any]], redactor: Redactor, pool: ProcessPool, on_end: Callable[[], object] = bool
    ) -> None:
        self._jobs = jobs
        self._redactor = redactor
        self._pool = pool
        self._on_end = on_end

    async def run(self, delivery: Delivery) -> None:
        message = delivery.message
        job = self._jobs[message.task_name]
        set_log_context(request_id=message.task_id, user="", trace_id=message.labels.trace_id)
        started, result = await self._run(job, delivery)
        task = asyncio.current_task()
        is_stopping = task is not None and task.cancelling() > 0  # also if the function has succeeded all the same
        await _completed(self._record(job, delivery, result, started), in_a_hurry=is_stopping)
        self._on_end()

    async def _run(self, job: Job[Any], delivery: Delivery) -> tuple[float, _Result]:
        """Run the job, as soon as a process is free if it needs one. Returns when it has started, and how it ended."""
        if not job.process:
            return time.time(), await self._call(job, delivery)
        try:
            process = await self._pool.acquire()
        except asyncio.CancelledError:
            return time.time(), _Result("stopped")
        except (OSError, ProcessDied) as exc:
            return time.time(), _Result("failed", exc)
        try:
            return time.time(), await self._call(job, delivery, process)
        finally:
            self._pool.release(process)

    async def _call(self, job: Job[Any], delivery: Delivery, process: PooledProcess | None = None) -> _Result:
        """Run the function in a task of its own. Cancelling this task stops it."""
        try:
            arguments = job.payload.unpack(delivery.message.payload())
        except JobArgumentsInvalid as exc:
            return _Result("invalid", exc)
        delivery.status = StatusWriter(delivery.message.task_id, job.keep_result)
        work = asyncio.create_task(_invoke(job, arguments, delivery, delivery.status, process), name=job.name)
        delivery.on_lost = work.cancel
        if delivery.is_lost:
            work.cancel()
        is_stopping = False
        try:
            await asyncio.wait({work}, timeout=job.timeout)
        except asyncio.CancelledError:
            is_stopping = True
        if is_stopping or not work.done():
            is_stopping |= await _end_shielded(work)
            if is_stopping:
                return _Result("succeeded") if _succeeded(work) else _Result("stopped")
            if not _succeeded(work):
                return _Result("timed out", TimeoutError(f"It took longer than {job.timeout:g} seconds."))
        if delivery.is_lost and not _succeeded(work):
            return _Result("lost")
        if work.cancelled():
            return _Result("failed", asyncio.CancelledError("It was cancelled from within."))
        error = work.exception()
        return _Result("failed", error) if error else _Result("succeeded")

    async def _record(self, job: Job[Any], delivery: Delivery, result: _Result, started: float) -> None:
        """Record the end of the run, and log it."""
        attempt, fate = delivery.message.labels.attempt, ""
        if result.outcome == "succeeded":
            if delivery.status and job.keep_result is None:
                await delivery.status.end(RunState.SUCCEEDED)
            await delivery.finish(Outcome.DONE)
        elif result.outcome == "stopped":
            await delivery.finish(Outcome.AGAIN)
            fate = "it was put back"
        elif result.outcome == "lost":
            fate = "another worker has it, or it was dropped"
        elif result.outcome != "invalid" and attempt <= job.retries:
            pause = job.pause(attempt)
            fate = f"it runs again in {pause:.1f} s"
            again = delivery.message.relabelled(attempt=attempt + 1, due=int((time.time() + pause) * 1000))
            await delivery.finish(Outcome.AGAIN, message=again, pause=pause)
        else:
            fate = "it is now a dead letter"
            if delivery.status:
                await delivery.status.end(RunState.DEAD)
            await delivery.finish(Outcome.DEAD, letter=self._letter(delivery, result.error))
            DEAD_LETTERS.inc(job.name)
            report_event("job", job.name, f"The job {job.name} [{delivery.message.task_id}] failed: {fate}.")
        JOB_RUNS.inc(job.name, result.outcome)
        JOB_SECONDS.observe(time.time() - started, job.name)
        self._log(job, delivery, result, started, fate)

    def _letter(self, delivery: Delivery, error: BaseException | None) -> DeadLetter:
        reason = f"{type(error).__name__}: {error}" if error else ""
        if isinstance(error, FailedInProcess):
            reason = str(error)
        trace = "".join(traceback.format_exception(error)) if error and error.__traceback__ else ""
        text = self._redactor.text
        return DeadLetter.of(delivery.message.to_bytes(), reason=text(reason), trace=text(trace))

    def _log(self, job: Job[Any], delivery: Delivery, result: _Result, started: float, fate: str) -> None:
        labels = delivery.message.labels
        due = labels.due or labels.enqueued + labels.delay
        extra = {
            "job": job.name,
            "queue": delivery.queue.name,
            "attempt": labels.attempt,
            "due": _moment(due / 1000),
            "started": _moment(started),
            "seconds": round(time.time() - started, 3),
            "outcome": result.outcome,
        }
        error = result.error if result.error and result.error.__traceback__ else None
        level = logging.INFO if result.outcome in ("succeeded", "stopped") else logging.WARNING
        if fate == "it is now a dead letter":
            level = logging.ERROR
        text = f"{result.outcome}: {result.error}" if result.error and not error else result.outcome
        suffix = f", and {fate}" if fate else ""
        logger.log(level, "The job %s %s%s.", job.name, text.rstrip("."), suffix, exc_info=error, extra=extra)


async def _invoke(
    job: Job[Any], arguments: dict[str, Any], delivery: Delivery, status: StatusWriter, process: PooledProcess | None
) -> None:
    with running_job(delivery.queue.name, delivery.message):
        await _execute(job, arguments, delivery, status, process)


async def _execute(
    job: Job[Any], arguments: dict[str, Any], delivery: Delivery, status: StatusWriter, process: PooledProcess | None
) -> None:
    start_scope()
    message, packed = delivery.message, b""
    run = JobRun(message.task_id, job.name, message.labels.attempt)

    async def call() -> None:
        nonlocal packed
        if process is not None:
            packed = await process.run(job, run, message.payload())
            return
        result = await job.function(**arguments)
        if job.keep_result is not None:
            packed = job.payload.pack_result(result)

    with set_current_job(run), set_status_writer(status):
        try:
            if not job.once:
                await call()
            elif not await complete_once(job, message.task_id, call):
                logger.info("The job %s [%s] was completed by an earlier run.", job.name, message.task_id)
            if packed:
                await status.end(RunState.SUCCEEDED, packed)
        except SystemExit as exc:  # a job must not stop its worker
            raise RuntimeError(f"It called sys.exit({exc.code!r}).") from exc


async def _end_shielded(work: asyncio.Task[None]) -> bool:
    """End the work, even if this task is cancelled in the meantime. Returns whether it was."""
    ending, was_cancelled = asyncio.create_task(end_task(work)), False
    while not ending.done():
        try:
            await asyncio.wait({ending})
        except asyncio.CancelledError:
            was_cancelled = True
    return was_cancelled


async def _completed(recording: Coroutine[object, object, None], *, in_a_hurry: bool) -> None:
    """Record the end of a run, even if this task is cancelled: then, or `in_a_hurry`, within STOP_TIMEOUT."""
    task = asyncio.create_task(recording)
    try:
        await asyncio.wait({task}, timeout=STOP_TIMEOUT if in_a_hurry else None)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=STOP_TIMEOUT)
    if not task.done():
        task.cancel()
        logger.warning("The end of a run could not be recorded: its job runs again.")
    elif (error := task.exception()) is not None:
        logger.error("The end of a run could not be recorded: its job runs again.", exc_info=error)


def _succeeded(work: asyncio.Task[None]) -> bool:
    return work.done() and not work.cancelled() and work.exception() is None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
