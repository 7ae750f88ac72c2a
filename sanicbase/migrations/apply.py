"""Applies and reverts migrations, in one process at a time across all machines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aerich.models import Aerich
from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.config import Config
from sanicbase.migrations.execution import execute
from sanicbase.migrations.lock import locked_sessions, open_sessions
from sanicbase.migrations.report import Report
from sanicbase.migrations.runner import MigrationRunner
from sanicbase.migrations.schema.changes import Renames, diff_schemas
from sanicbase.migrations.schema.models import schema_of_models
from sanicbase.migrations.schema.sql import statements_of
from sanicbase.migrations.selection import Options, migrations_to_apply, migrations_to_revert
from sanicbase.migrations.statements import Dialect
from sanicbase.migrations.status import Label, check_label_dialect
from sanicbase.migrations.versions import aerich_has_table

__all__ = ["apply", "revert"]


async def apply(config: Config, labels: Sequence[Label], options: Options, report: Report, *, lock: bool = True) -> int:
    """Apply the pending migrations of the labels, whose databases must be open, and return their number.

    Without `lock`, the caller ensures that no other process migrates.

    Raises MigrationError when a migration cannot be applied; the message says what was executed. Raises
    MigrationLockTimeout when another process holds the lock for too long.
    """
    applied = 0
    for label in labels:
        check_label_dialect(config, label)
    async with _locked_databases(config, labels, options, report, lock=lock) as sessions:
        for label in labels:
            run = MigrationRunner(label, sessions, options, report)
            status = await run.status()
            for sentence in status.warnings():
                report.warning(sentence)
            for migration in migrations_to_apply(status, options):
                await run.up(migration)
                applied += 1
    return applied


async def revert(config: Config, label: Label, options: Options, report: Report) -> int:
    """Revert the last migration of the label, or all after `options.to`; return their number."""
    async with _locked_databases(config, [label], options, report) as sessions:
        run = MigrationRunner(label, sessions, options, report)
        migrations = migrations_to_revert(await run.status(), options)
        for migration in migrations:
            await run.down(migration)
    return len(migrations)


@asynccontextmanager
async def _locked_databases(
    config: Config, labels: Sequence[Label], options: Options, report: Report, *, lock: bool = True
) -> AsyncIterator[dict[str, BaseDBAsyncClient]]:
    """Sessions of all databases involved, locked, with the tables that record migrations."""
    default = config.migrate_db()["apps"][config.SERVER_NAME]["default_connection"]
    connections = dict.fromkeys([default, *(label.connection for label in labels)])
    opened = (
        locked_sessions(connections, seconds=options.lock_timeout, on_wait=report.waiting)
        if lock
        else open_sessions(connections)
    )
    async with opened as sessions:
        if not await aerich_has_table():
            await _create_aerich_table(sessions[default])
        yield sessions | {"": sessions[default]}


async def _create_aerich_table(client: BaseDBAsyncClient) -> None:
    """Create aerich's table."""
    dialect: Dialect = client.capabilities.dialect  # type: ignore[assignment]
    table_changes = diff_schemas({}, schema_of_models([Aerich], client), Renames(), dialect)
    for statement in statements_of(table_changes, dialect, safe=True):
        await execute(client, statement)
