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
from sanicbase.terminal import say

__all__: list[str] = []

__models__ = [Aerich]

_upgrade = Command._upgrade


async def _upgrade_without_rows(
    self: Command, conn: Any, version_file: str, fake: bool = False, version_module: Any = None
) -> None:
    """aerich's own method of that name, which knows nothing of rows: without them it would note half a migration."""
    folder = Path(version_module.module_finder.path) if version_module else Migrate.migrate_location
    if not fake and Migration(folder / version_file).data is not None:
        raise MigrationError(
            say(
                f"{version_file} migrates rows, which aerich does not. Run: sanicGuider migrate up",
                f"{version_file} 含有数据迁移，aerich 不会执行它。请执行：sanicGuider migrate up",
            )
        )
    await _upgrade(self, conn, version_file, fake, version_module)


Command._upgrade = _upgrade_without_rows  # type: ignore[method-assign]
