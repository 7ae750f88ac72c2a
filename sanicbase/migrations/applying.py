"""Applying migrations and taking them back, once over all machines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aerich.models import Aerich
from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.config import Config
from sanicbase.migrations.carrying import Run
from sanicbase.migrations.choosing import Options, to_be_applied, to_be_taken_back
from sanicbase.migrations.executing import execute
from sanicbase.migrations.locking import locked, unlocked
from sanicbase.migrations.report import Report
from sanicbase.migrations.schema.changes import Renames, changes
from sanicbase.migrations.schema.models import schema_of_models
from sanicbase.migrations.schema.sql import statements_of
from sanicbase.migrations.standing import Label, refuse_foreign
from sanicbase.migrations.statements import Dialect
from sanicbase.migrations.versions import aerich_has_table

__all__ = ["apply", "take_back"]


async def apply(config: Config, labels: Sequence[Label], options: Options, report: Report, *, lock: bool = True) -> int:
    """Apply what the labels' databases, which are open, lack, and return how many migrations that were.

    Without `lock` the caller has seen to it that nobody else does the same.

    Raises MigrationError when one cannot be applied: the sentence says what was done of it. Raises MigrationLockTimeout
    when another process keeps the databases for too long.
    """
    applied = 0
    for label in labels:
        refuse_foreign(config, label)
    async with _ready(config, labels, options, report, lock=lock) as sessions:
        for label in labels:
            run = Run(label, sessions, options, report)
            standing = await run.standing()
            for sentence in standing.warnings():
                report.warning(sentence)
            for migration in to_be_applied(standing, options):
                await run.up(migration)
                applied += 1
    return applied


async def take_back(config: Config, label: Label, options: Options, report: Report) -> int:
    """Take back the last migration of the label, or all after `options.to`; return how many that were."""
    async with _ready(config, [label], options, report) as sessions:
        run = Run(label, sessions, options, report)
        migrations = to_be_taken_back(await run.standing(), options)
        for migration in migrations:
            await run.down(migration)
    return len(migrations)


@asynccontextmanager
async def _ready(
    config: Config, labels: Sequence[Label], options: Options, report: Report, *, lock: bool = True
) -> AsyncIterator[dict[str, BaseDBAsyncClient]]:
    """The sessions of all databases that are concerned, locked, and with the tables in which notes are made."""
    default = config.migrate_db()["apps"][config.SERVER_NAME]["default_connection"]
    connections = dict.fromkeys([default, *(label.connection for label in labels)])
    opened = (
        locked(connections, seconds=options.lock_timeout, waiting=report.waiting) if lock else unlocked(connections)
    )
    async with opened as sessions:
        if not await aerich_has_table():
            await _make_notes(sessions[default])
        yield sessions | {"": sessions[default]}


async def _make_notes(client: BaseDBAsyncClient) -> None:
    """aerich's own table."""
    dialect: Dialect = client.capabilities.dialect  # type: ignore[assignment]
    made = changes({}, schema_of_models([Aerich], client), Renames(), dialect)
    for statement in statements_of(made, dialect, safe=True):
        await execute(client, statement)
