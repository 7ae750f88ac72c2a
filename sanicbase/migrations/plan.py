"""The plan of `up` or `down`: the statements that would be executed, and their locks. It changes and locks nothing."""

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
    """A statement that would be executed, and its lock."""

    sql: str
    lock: LockLevel


@dataclass(frozen=True)
class PlannedMigration:
    """A migration that would be applied."""

    migration: Migration
    statements: tuple[PlannedStatement, ...]
    done: int
    """The number of its statements that an interrupted run has executed."""
    is_transaction: bool
    """Whether the migration is applied completely or not at all."""


async def plan(status: MigrationStatus, options: Options) -> list[PlannedMigration]:
    """The migrations that `apply` would execute. Raises MigrationError where `apply` would do so before it starts."""
    label = status.label
    pending = migrations_to_apply(status, options)
    async with read_only_session(label.connection, label.dialect) as db:
        return [await _plan(migration, status, db) for migration in pending]


async def _plan(migration: Migration, status: MigrationStatus, db: BaseDBAsyncClient) -> PlannedMigration:
    dialect = status.label.dialect
    script = await migration.script_function(FUNCTIONS["up"])(db)
    executed = [entry for entry in status.steps if entry.migration == migration.name and entry.state == "done"]
    return PlannedMigration(
        migration=migration,
        statements=tuple(PlannedStatement(sql, lock_level(sql, dialect)) for sql in split_statements(script, dialect)),
        done=len(executed),
        is_transaction=dialect != "mysql" and migration.in_transaction,
    )


@asynccontextmanager
async def read_only_session(connection: str, dialect: Dialect) -> AsyncIterator[BaseDBAsyncClient]:
    """A read-only session: the `upgrade` of a file may execute statements to generate its SQL."""
    async with session(connection) as db:
        client: Any = db
        await client.execute_query(READ_ONLY[dialect])
        if dialect == "mysql":  # MySQL rejects DDL only in a read-only transaction
            async with client._in_transaction() as inside:
                yield inside
        else:
            yield client
