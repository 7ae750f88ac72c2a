"""A migration to check: its two scripts, and the state of the models after it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.migrations.checks.findings import Direction, Finding, Severity
from sanicbase.migrations.files import Migration
from sanicbase.migrations.schema.state import schema_of_state
from sanicbase.migrations.schema.tables import Schema
from sanicbase.migrations.statements import Dialect, split_statements
from sanicbase.migrations.status import MigrationStatus

__all__ = ["PendingMigration", "Script", "read_pending", "relative_path", "schema_after"]

DIRECTIONS: tuple[Direction, Direction] = ("upgrade", "downgrade")


@dataclass(frozen=True)
class Script:
    """The SQL of one direction."""

    file: str
    direction: Direction
    text: str
    statements: tuple[str, ...]

    def finding(self, code: str, severity: Severity, statement: int, sentence: str, remedy: str) -> Finding:
        """A finding about one of its statements."""
        return Finding(code, severity, self.file, self.direction, statement, sentence, remedy)


@dataclass(frozen=True)
class PendingMigration:
    """A pending migration, or one that is not written yet and has no file name."""

    up: Script
    down: Script | None = None
    state: Schema = field(default_factory=dict)
    """The tables of the models after it; empty when the file has no state."""
    in_transaction: bool = True
    migrates_data: bool = False
    done: int = 0
    """The number of its statements that an interrupted run has executed."""
    is_first: bool = False
    """Whether it is the first of its folder, which creates the tables and has no downgrade."""


async def read_pending(
    migration: Migration, db: BaseDBAsyncClient, status: MigrationStatus, root: Path
) -> PendingMigration:
    """The scripts of the file. Its functions run with a read-only client."""
    dialect = status.label.dialect
    up, down = [await _script(migration, direction, db, dialect, root) for direction in DIRECTIONS]
    return PendingMigration(
        up,
        down,
        schema_after(migration, dialect),
        in_transaction=migration.in_transaction,
        migrates_data=migration.migrates_data,
        done=sum(entry.migration == migration.name and entry.state == "done" for entry in status.steps),
        is_first=migration == status.migrations[0],
    )


async def _script(
    migration: Migration, direction: Direction, db: BaseDBAsyncClient, dialect: Dialect, root: Path
) -> Script:
    text = await migration.script_function(direction)(db) or ""
    return Script(relative_path(migration.path, root), direction, text, tuple(split_statements(text, dialect)))


def relative_path(path: Path, root: Path) -> str:
    """The path of the file, relative to the project's folder."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def schema_after(migration: Migration, dialect: Dialect) -> Schema:
    """The tables of the models after a migration; none when its file has no state."""
    try:
        return schema_of_state(migration.models_state or {}, dialect)
    except (KeyError, TypeError, ValueError, zlib.error):  # a state of another version of aerich, or edited by hand
        return {}
