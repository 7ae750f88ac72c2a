"""What `up` or `down` would carry out, and what that locks. Nothing is changed, and no lock is taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db.engine.session import session
from sanicbase.migrations.files import Migration
from sanicbase.migrations.lock_levels import LockLevel, lock_level
from sanicbase.migrations.runner import FUNCTIONS
from sanicbase.migrations.selection import Options, migrations_to_apply
from sanicbase.migrations.statements import Dialect, split_statements
from sanicbase.migrations.status import MigrationStatus

__all__ = ["PlannedMigration", "PlannedStatement", "plan", "read_only_session"]

READ_ONLY: dict[Dialect, str] = {
    "postgres": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


@dataclass(frozen=True)
class PlannedStatement:
    """A statement that would be carried out, and its lock."""

    sql: str
    lock: LockLevel


@dataclass(frozen=True)
class PlannedMigration:
    """A migration that would be applied."""

    migration: Migration
    statements: tuple[PlannedStatement, ...]
    done: int
    """So many of the statements were carried out by a run that has stopped."""
    is_transaction: bool
    """Whether all of it, or nothing, will be there."""


async def plan(status: MigrationStatus, options: Options) -> list[PlannedMigration]:
    """What `apply` would carry out now. Raises MigrationError where it would raise it before the first statement."""
    label = status.label
    wanted = migrations_to_apply(status, options)
    async with read_only_session(label.connection, label.dialect) as db:
        return [await _plan(migration, status, db) for migration in wanted]


async def _plan(migration: Migration, status: MigrationStatus, db: BaseDBAsyncClient) -> PlannedMigration:
    dialect = status.label.dialect
    script = await migration.script_function(FUNCTIONS["up"])(db)
    done = [entry for entry in status.steps if entry.migration == migration.name and entry.state == "done"]
    return PlannedMigration(
        migration=migration,
        statements=tuple(PlannedStatement(sql, lock_level(sql, dialect)) for sql in split_statements(script, dialect)),
        done=len(done),
        is_transaction=dialect != "mysql" and migration.in_transaction,
    )


@asynccontextmanager
async def read_only_session(connection: str, dialect: Dialect) -> AsyncIterator[BaseDBAsyncClient]:
    """A session that cannot write: a file's `upgrade` may run statements of its own to find its SQL."""
    async with session(connection) as db:
        client: Any = db
        await client.execute_query(READ_ONLY[dialect])
        if dialect == "mysql":  # whose changes of tables are refused in a transaction only
            async with client._in_transaction() as inside:
                yield inside
        else:
            yield client
