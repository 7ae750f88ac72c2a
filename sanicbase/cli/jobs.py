"""`sanicGuider jobs`: the jobs of a service, wherever they are."""

from __future__ import annotations

import importlib
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import click
from pydantic_core import to_json

from sanicbase.cli.in_lifespan import run_in_lifespan
from sanicbase.cli.project import resolve_service
from sanicbase.cli.table import table
from sanicbase.i18n import gettext as _
from sanicbase.i18n import gettext_noop
from sanicbase.jobs.declaration import Job
from sanicbase.jobs.queues.inspection import Inspection, JobState, ListedJob
from sanicbase.jobs.queues.opening import inspect_queue
from sanicbase.jobs.queues.pause import Pause
from sanicbase.jobs.status import JobStatus, RunState, job_status

__all__ = ["jobs"]

ID = re.compile(r"[0-9a-f]{32}")
RETRIED = gettext_noop("{id} runs again.")
NOT_RETRIED = gettext_noop("{id} is neither dead nor delayed, or another unique job waits or runs.")
DROPPED = gettext_noop("{id} was dropped.")
NOT_DROPPED = gettext_noop("{id} did not exist.")
CANCELLED = gettext_noop("{id} is cancelled, if it waits or runs.")
SERVICE = click.argument(
    "service", metavar="[SERVICE]", required=False, callback=lambda context, parameter, name: resolve_service(name)
)
QUEUE = click.option("--queue", "names", metavar="NAME", multiple=True, help="Only this queue. May be repeated.")
WORDS = click.argument("words", metavar="[SERVICE] ID...", nargs=-1, required=True)


@click.group()
def jobs() -> None:
    """List, show, retry and drop the jobs of a service."""


@jobs.command("list")
@SERVICE
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only jobs in this state.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="The maximum number of jobs in each state.",
)
def list_jobs(service: str, state: str | None, limit: int) -> None:
    """List the waiting, running, delayed and dead jobs of SERVICE."""

    async def collect() -> list[ListedJob]:
        queues = _queues(service)
        server, possible = queues[0].server, queues[0].states
        states = [JobState(state)] if state else possible
        for queue in queues:
            if await queue.pause.is_on():
                click.echo(_("The queue {name} is paused.", name=queue.name), err=True)
        if len(possible) < len(JobState):
            waiting = sum([(await queue.lengths())["waiting"] for queue in queues])
            click.echo(
                _("{server} lists dead letters only. Jobs that are waiting: {count}.", server=server, count=waiting),
                err=True,
            )
        return [
            job
            for queue in queues
            for wanted in states
            if wanted in possible
            for job in await queue.listed(wanted, limit)
        ]

    rows = [("id", _("queue"), _("state"), _("job"), _("attempt"), _("time"), _("reason"))]
    for job in run_in_lifespan(service, collect):
        message, reason = job.message, job.letter.reason if job.letter else ""
        name, attempt = (message.task_name, str(message.labels.attempt)) if message else ("-", "-")
        rows.append((job.id, job.queue, job.state, name, attempt, _moment(job.moment), reason.partition("\n")[0][:80]))
    click.echo(table(rows))


@jobs.command()
@WORDS
def show(words: tuple[str, ...]) -> None:
    """Print the jobs with these IDs: message, progress, result, and for dead letters the reason and the traceback."""
    service, ids = _split(words)

    async def collect() -> list[tuple[ListedJob | None, JobStatus | None]]:
        return [await _look_up(service, job_id) for job_id in ids]

    for job, status in run_in_lifespan(service, collect):
        if status:
            click.echo(_status_line(status))
        if job is None:
            continue
        click.echo(f"{job.id}  {job.queue}  {job.state}  {_moment(job.moment)}")
        click.echo(job.data.decode(errors="replace"))
        if job.letter:
            click.echo(job.letter.reason)
            click.echo(job.letter.trace)


@jobs.command()
@WORDS
def retry(words: tuple[str, ...]) -> None:
    """Run the dead or delayed jobs with these IDs now, with all of their retries."""
    service, ids = _split(words)

    async def run() -> list[tuple[str, str]]:
        matches = await _find(service, ids)
        return [(job.id, RETRIED if await queue.retry(job) else NOT_RETRIED) for queue, job in matches]

    _print_results(run_in_lifespan(service, run))


@jobs.command()
@WORDS
def drop(words: tuple[str, ...]) -> None:
    """Delete the jobs with these IDs. Their runs in progress are cancelled."""
    service, ids = _split(words)

    async def run() -> list[tuple[str, str]]:
        queues = _queues(service)
        matches = [(job_id, await _match(queues, job_id)) for job_id in ids]
        for job_id, match in matches:
            if match is None and JobState.WAITING in queues[0].states:
                raise click.ClickException(_not_found(service, job_id))
        return [(job_id, await _drop(queues, job_id, match)) for job_id, match in matches]

    _print_results(run_in_lifespan(service, run))


@jobs.command()
@SERVICE
@QUEUE
def pause(service: str, names: tuple[str, ...]) -> None:
    """Stop workers of SERVICE from taking jobs, until `resume`. Runs continue, and jobs can be enqueued."""
    _switch(
        service,
        names,
        Pause.begin,
        gettext_noop("The queue {name} is paused."),
        gettext_noop("The queue {name} was paused already."),
    )


@jobs.command()
@SERVICE
@QUEUE
def resume(service: str, names: tuple[str, ...]) -> None:
    """Let the workers of SERVICE take jobs again after `pause`."""
    _switch(
        service,
        names,
        Pause.end,
        gettext_noop("The queue {name} is no longer paused."),
        gettext_noop("The queue {name} was not paused."),
    )


def _switch(
    service: str,
    names: tuple[str, ...],
    change: Callable[[Pause], Awaitable[bool]],
    done: str,
    already: str,
) -> None:
    async def run() -> list[tuple[str, bool]]:
        return [(queue.name, await change(queue.pause)) for queue in _chosen(service, names)]

    for name, was_done in run_in_lifespan(service, run):
        click.echo(_(done if was_done else already, name=name))


def _chosen(service: str, names: tuple[str, ...]) -> list[Inspection]:
    """The queues of these names, or all of them."""
    queues = {queue.name: queue for queue in _queues(service)}
    chosen: list[Inspection] = []
    for name in names or queues:
        queue = queues.get(name)
        if queue is None:
            listed = ", ".join(queues)
            raise click.ClickException(
                _("{service} has no queue {name}. It has {listed}.", service=service, name=name, listed=listed)
            )
        chosen.append(queue)
    return chosen


async def _drop(queues: Sequence[Inspection], job_id: str, match: tuple[Inspection, ListedJob] | None) -> str:
    """Drop a job, or cancel it where the server cannot find it. Returns what happened."""
    if match is not None:
        queue, job = match
        return DROPPED if await queue.drop(job) else NOT_DROPPED
    for queue in queues:
        await queue.cancel(job_id)
    return CANCELLED


def _print_results(results: Sequence[tuple[str, str]]) -> None:
    """Print what happened to each job. Ends with status 1 when something was not possible."""
    for job_id, text in results:
        click.echo(_(text, id=job_id))
    if any(text in (NOT_RETRIED, NOT_DROPPED) for _id, text in results):
        raise click.exceptions.Exit(1)


def _split(words: Sequence[str]) -> tuple[str, list[str]]:
    """The service, which may be left out, and the ids."""
    has_service = ID.fullmatch(words[0]) is None
    ids = list(words[has_service:])
    if not ids:
        raise click.UsageError(_("Specify the ID of a job. `sanicGuider jobs list` shows them."))
    return resolve_service(words[0] if has_service else None), ids


async def _find(service: str, ids: Sequence[str]) -> list[tuple[Inspection, ListedJob]]:
    matches = []
    for job_id in ids:
        match = await _match(_queues(service), job_id)
        if match is None:
            raise click.ClickException(_not_found(service, job_id))
        matches.append(match)
    return matches


async def _match(queues: Sequence[Inspection], job_id: str) -> tuple[Inspection, ListedJob] | None:
    for queue in queues:
        if job := await queue.find(job_id):
            return queue, job
    return None


def _not_found(service: str, job_id: str) -> str:
    queue = _queues(service)[0]
    if len(queue.states) < len(JobState):
        return _(
            "{service} has no dead letter {id}. {server} finds no job that waits or runs.",
            service=service,
            id=job_id,
            server=queue.server,
        )
    return _("{service} has no job {id}.", service=service, id=job_id)


def _queues(service: str) -> list[Inspection]:
    """The default queue, and those of the jobs that the service lists."""
    try:
        scripts = importlib.import_module(f"{service}.script").scripts
    except (ModuleNotFoundError, AttributeError):
        scripts = ()
    names = dict.fromkeys(["default", *(script.queue for script in scripts if isinstance(script, Job))])
    return [inspect_queue(name) for name in names]


async def _look_up(service: str, job_id: str) -> tuple[ListedJob | None, JobStatus | None]:
    """The job and its status. A job that has succeeded is in no queue."""
    status = await job_status(job_id)
    if status and status.state is RunState.SUCCEEDED:
        return None, status
    ((_queue, job),) = await _find(service, [job_id])
    return job, status


def _status_line(status: JobStatus) -> str:
    """`1b2c…  running  7 of 20`, or with the result as JSON."""
    parts = [status.id, status.state.value]
    if status.done is not None:
        parts.append(f"{status.done:g}" if status.total is None else f"{status.done:g}/{status.total:g}")
    if status.result is not None:
        parts.append(to_json(status.result).decode())
    return "  ".join(parts)


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
