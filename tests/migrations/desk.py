"""A service whose migrations are plain SQL, applied in the test's own process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tortoise.connection import get_connection

from sanicbase import Config
from sanicbase.migrations.apply import apply, revert
from sanicbase.migrations.journal import Direction
from sanicbase.migrations.report import Report
from sanicbase.migrations.selection import Options
from sanicbase.migrations.status import MigrationStatus, labels_of, migration_databases, read_status
from tests.db.opening import Store

__all__ = ["DeskConfig", "RecordingReport", "ask", "down", "status", "up", "write"]

FILE = """\
from asyncio import sleep

{head}

async def upgrade(db):
    return {up!r}


async def downgrade(db):
    return {down!r}

{tail}
"""


class DeskConfig(Config):
    """Its project is the working directory."""

    SERVER_NAME = "desk"

    @classmethod
    def on(cls, store: Store, **settings: Any) -> DeskConfig:
        return cls(DB_URL=store.url, DB_DRIVER=store.driver, DB_POOL_SIZE=20, **settings)


class RecordingReport(Report):
    """What was said, in short."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def waiting(self, sentence: str) -> None:
        self.lines.append(f"waiting {sentence}")

    def warning(self, sentence: str) -> None:
        self.lines.append(f"warning {sentence}")

    def migration_started(self, migration: str, direction: Direction, step: int) -> None:
        self.lines.append(f"{direction} {migration.removeprefix('desk/')} at {step}")

    def statement_started(self, step: int, steps: int, sql: str) -> None:
        self.lines.append(f"{step}/{steps} {sql}")

    def rows_migrated(self, table: str, done: int, total: int) -> None:
        self.lines.append(f"{table} {done}/{total}")


def write(
    name: str, up: str, down: str = "", *, head: str = "", tail: str = "", label: str = "desk", folder: str = "."
) -> Path:
    """A migration's file, in the working directory's project."""
    file = Path("migrations") / folder / label / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(FILE.format(head=head, up=up, down=down, tail=tail), encoding="utf-8")
    return file


async def up(config: Config, *, report: Report | None = None, **options: Any) -> int:
    """How many migrations were applied."""
    async with migration_databases(config) as opened:
        return await apply(opened, labels_of(opened), Options(**options), report or RecordingReport())


async def down(config: Config, *, report: Report | None = None, **options: Any) -> int:
    """How many migrations of the service's own label were reverted."""
    async with migration_databases(config) as opened:
        return await revert(opened, labels_of(opened)[0], Options(**options), report or RecordingReport())


async def status(config: Config) -> MigrationStatus:
    """How the service's own label stands."""
    async with migration_databases(config) as opened:
        return await read_status(labels_of(opened)[0])


async def ask(config: Config, sql: str) -> list[Mapping[str, Any]]:
    """The rows that a statement returns."""
    async with migration_databases(config):
        return [dict(row) for row in await get_connection("default").execute_query_dict(sql)]
