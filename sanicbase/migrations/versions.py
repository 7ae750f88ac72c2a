"""Which migrations a service has committed, and which of them a database has, by aerich's own table."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from aerich.models import Aerich

from sanicbase.config import Config
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.db.engine.translation import is_missing_table
from sanicbase.db.errors import DatabaseError

__all__ = [
    "aerich_has_table",
    "aerich_target",
    "applied_migrations",
    "followed_migrations",
    "migration_files",
    "migrations_dir",
    "written_for_sqlite",
]

VERSION = re.compile(r"\d+_.*\.py")


def migrations_dir(config: Config, label: str) -> Path:
    """The folder of the migrations of one label."""
    return config.project_dir() / "migrations" / label


def migration_files(config: Config, label: str) -> list[str]:
    """The committed migrations in their order: `["0_20260101000000_init.py"]`."""
    folder = migrations_dir(config, label)
    files = [path.name for path in folder.glob("*.py") if VERSION.fullmatch(path.name)]
    return sorted(files, key=lambda name: int(name.split("_")[0]))


def followed_migrations(config: Config, label: str) -> list[str]:
    """The committed migrations that the label's database is to have.

    None for an embedded database beside a default one on a server: aerich notes in the default database what it did
    to the others, and a note that all machines share says nothing about a file that each of them has.
    """
    tortoise = config.tortoise()
    alone = embedded_file(tortoise, label) and not embedded_file(tortoise, config.SERVER_NAME)
    return [] if alone else migration_files(config, label)


def written_for_sqlite(config: Config, label: str) -> bool:
    """Whether the label's migrations are SQLite's, by the first one, whose keys every database spells in its own way.

    False when it has no generated key: then nothing tells, and tables built from the models are right in any case.
    """
    first = migrations_dir(config, label) / migration_files(config, label)[0]
    return "AUTOINCREMENT" in first.read_text(encoding="utf-8")


async def applied_migrations(label: str) -> set[str]:
    """The migrations that the database has, none where aerich never was."""
    try:
        return set(await Aerich.filter(app=label).values_list("version", flat=True))  # type: ignore[arg-type]
    except DatabaseError as exc:
        if is_missing_table(exc):
            return set()
        raise


def aerich_target(config: Config) -> str:
    """What `aerich init` has named last in the project's pyproject.toml; empty when nothing there can be read."""
    try:
        tools = tomllib.loads((config.project_dir() / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return ""
    return str((tools.get("aerich") or tools.get("tortoise") or {}).get("tortoise_orm", ""))


async def aerich_has_table() -> bool:
    """Whether the default database, where aerich takes its notes about all of them, has the table for it."""
    try:
        await Aerich.exists()
    except DatabaseError as exc:
        if is_missing_table(exc):
            return False
        raise
    return True
