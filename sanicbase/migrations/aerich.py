"""What Tortoise imports beside aerich's model: by it the `aerich` command and every service have this room.

`Config` names this module among the models of each service, as it names the database engines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aerich import Command
from aerich.migrate import Migrate
from aerich.models import Aerich

from sanicbase.errors import MigrationError
from sanicbase.migrations.files import Migration
from sanicbase.migrations.journal import Journal
from sanicbase.terminal import say

__all__: list[str] = []

__models__ = [Aerich]

_upgrade = Command._upgrade


async def _upgrade_whole(
    self: Command, conn: Any, version_file: str, fake: bool = False, version_module: Any = None
) -> None:
    """aerich's own method of that name, for what it can carry out as a whole.

    It knows nothing of migrations of rows, nor of those that `sanicGuider migrate up` has begun.
    """
    if not fake:
        folder = Path(version_module.module_finder.path) if version_module else Migrate.migrate_location
        await _refuse_half(Migration(folder / version_file), conn, self.app)
    await _upgrade(self, conn, version_file, fake, version_module)


async def _refuse_half(migration: Migration, conn: Any, label: str) -> None:
    name, dialect = migration.name, conn.capabilities.dialect
    if migration.data is not None:
        raise MigrationError(
            say(
                f"{name} migrates rows, which aerich does not. Run: sanicGuider migrate up",
                f"{name} 含有数据迁移，aerich 不会执行它。请执行：sanicGuider migrate up",
            )
        )
    if dialect != "mysql" and migration.in_transaction:
        return  # which has left nothing
    steps, _ = await Journal(conn, label, dialect).read()
    if any(note.migration == name for note in steps):
        raise MigrationError(
            say(
                f"{name} is half-way, and aerich would begin it anew. Run: sanicGuider migrate up",
                f"{name} 只执行了一部分，aerich 会从头开始执行。请执行：sanicGuider migrate up",
            )
        )


Command._upgrade = _upgrade_whole  # type: ignore[method-assign]
