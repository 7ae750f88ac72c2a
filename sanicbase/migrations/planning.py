"""What `up` or `down` would carry out, and what that locks. Nothing is changed, and no lock is taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db.engine.session import session
from sanicbase.migrations.carrying import FUNCTIONS
from sanicbase.migrations.choosing import Options, to_be_applied
from sanicbase.migrations.files import Migration
from sanicbase.migrations.locks import Lock, lock_of
from sanicbase.migrations.standing import Standing
from sanicbase.migrations.statements import Dialect, split_statements

__all__ = ["Plan", "Planned", "plan", "read_only"]

READ_ONLY: dict[Dialect, str] = {
    "postgres": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


@dataclass(frozen=True)
class Planned:
    """A statement that would be carried out, and its lock."""

    sql: str
    lock: Lock


@dataclass(frozen=True)
class Plan:
    """A migration that would be applied."""

    migration: Migration
    statements: tuple[Planned, ...]
    done: int
    """So many of the statements were carried out by a run that has stopped."""
    is_transaction: bool
    """Whether all of it, or nothing, will be there."""


async def plan(standing: Standing, options: Options) -> list[Plan]:
    """What `apply` would carry out now. Raises MigrationError where it would raise it before the first statement."""
    label = standing.label
    wanted = to_be_applied(standing, options)
    async with read_only(label.connection, label.dialect) as db:
        return [await _plan(migration, standing, db) for migration in wanted]


async def _plan(migration: Migration, standing: Standing, db: BaseDBAsyncClient) -> Plan:
    dialect = standing.label.dialect
    script = await migration.step(FUNCTIONS["up"])(db)
    done = [note for note in standing.steps if note.migration == migration.name and note.state == "done"]
    return Plan(
        migration=migration,
        statements=tuple(Planned(sql, lock_of(sql, dialect)) for sql in split_statements(script, dialect)),
        done=len(done),
        is_transaction=dialect != "mysql" and migration.in_transaction,
    )


@asynccontextmanager
async def read_only(connection: str, dialect: Dialect) -> AsyncIterator[BaseDBAsyncClient]:
    """A session that cannot write: a file's `upgrade` may run statements of its own to find its SQL."""
    async with session(connection) as db:
        client: Any = db
        await client.execute_query(READ_ONLY[dialect])
        if dialect == "mysql":  # whose changes of tables are refused in a transaction only
            async with client._in_transaction() as inside:
                yield inside
        else:
            yield client
