"""Jobs with `once`: their completion is a row of the transaction in which they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sanicbase.db import transaction, use_primary
from sanicbase.db.errors import IntegrityError
from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _
from sanicbase.jobs.declaration import Job
from sanicbase.jobs.tables import CompletedJob, table_on

__all__ = ["check_completions", "complete_once"]


def check_completions(jobs: Sequence[Job[Any]]) -> None:
    """Raise ConfigError for a job with `once` whose database has no table of completed jobs."""
    for job in jobs:
        if job.once and table_on(job.once, CompletedJob) is None:
            raise ConfigError(
                _(
                    "The job {name} has `once`, but the database {connection} has no table of completed jobs. Add a "
                    "subclass of sanicbase.CompletedJob to a file of MODEL_LIST, and write a migration: sanicGuider "
                    "migrate make.",
                    name=job.name,
                    connection=job.once,
                )
            )


async def complete_once(job: Job[Any], job_id: str, call: Callable[[], Awaitable[object]]) -> bool:
    """Call the function in a transaction that records the completion. Returns False when it is already recorded.

    Concurrent runs wait for each other at the record: the second one finds it, or runs if the first one has failed.
    """
    table = table_on(job.once, CompletedJob)
    assert table is not None  # noqa: S101  (checked at start)
    if await _is_recorded(table, job_id):
        return False
    try:
        async with transaction(job.once):
            await table.create(id=job_id)
            await call()
    except IntegrityError:
        if await _is_recorded(table, job_id):
            return False
        raise
    return True


async def _is_recorded(table: type[CompletedJob], job_id: str) -> bool:
    with use_primary():
        return await table.filter(id=job_id).exists()
