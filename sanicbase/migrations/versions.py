"""The migrations that a service has committed, and those that aerich has recorded as applied."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aerich.models import Aerich
from tortoise.models import Model

from sanicbase.config import Config
from sanicbase.config.model_files import owner_of
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.db.engine.translation import is_missing_table
from sanicbase.db.errors import DatabaseError
from sanicbase.db.relations import referenced_models
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.files import dialect_of_files, folder_of, migrations_in
from sanicbase.migrations.statements import DATABASE_NAMES, Dialect

__all__ = [
    "aerich_has_table",
    "aerich_target",
    "applied_migrations",
    "check_referenced_tables",
    "dialect_folder",
    "dialect_mismatch",
    "dialect_of_label",
    "dialect_of_migrations",
    "expected_migrations",
    "has_sqlite_migrations",
    "is_built_from_models",
    "migrated_apps",
    "migration_files",
    "migrations_dir",
    "missing_tables",
]


def dialect_of_label(config: Config, label: str) -> Dialect:
    """The dialect of the label's database, without a query."""
    tortoise = config.tortoise()
    engine = tortoise["connections"][tortoise["apps"][label]["default_connection"]]["engine"]
    dialect: Dialect = importlib.import_module(engine).client_class.capabilities.dialect
    return dialect


def migrated_apps(config: Config) -> dict[str, dict[str, Any]]:
    """The labels that the service migrates, in Tortoise's format; the default one comes first."""
    shared = config.shared_labels()
    return {label: app for label, app in config.migrate_db()["apps"].items() if label not in shared}


def dialect_folder(config: Config, label: str) -> Path:
    """The folder for migrations of the label for its database: `<label>`, or `<dialect>/<label>`."""
    return folder_of(config.project_dir() / "migrations", label, dialect_of_label(config, label))


def migrations_dir(config: Config, label: str) -> Path:
    """The folder with the migrations of a label; that of another dialect when there is no other."""
    target, plain = dialect_folder(config, label), config.project_dir() / "migrations" / label
    return target if migrations_in(target) or not migrations_in(plain) else plain


def migration_files(config: Config, label: str) -> list[str]:
    """The committed migrations in order: `["0_20260101000000_init.py"]`."""
    return [migration.name for migration in migrations_in(migrations_dir(config, label))]


def is_built_from_models(config: Config, label: str) -> bool:
    """Whether the label's tables are created from its models even if there are migrations.

    This is so for an embedded database when the default one is on a server: aerich records the migrations of all
    databases in the default one, and a record that all machines share cannot describe a file of each machine.
    """
    tortoise = config.tortoise()
    return bool(embedded_file(tortoise, label)) and not embedded_file(tortoise, config.SERVER_NAME)


def expected_migrations(config: Config, label: str) -> list[str]:
    """The committed migrations that the label's database should have."""
    return [] if is_built_from_models(config, label) else migration_files(config, label)


def dialect_of_migrations(config: Config, label: str) -> Dialect | None:
    """The dialect of the label's migrations; None when they do not show it."""
    return dialect_of_files(migrations_dir(config, label))


def dialect_mismatch(config: Config, label: str) -> str:
    """A sentence when the label only has migrations for another database; otherwise empty."""
    written, dialect = dialect_of_migrations(config, label), dialect_of_label(config, label)
    if written in (None, dialect):
        return ""
    folder = migrations_dir(config, label).relative_to(config.project_dir())
    expected, actual = DATABASE_NAMES[written], DATABASE_NAMES[dialect]
    return _(
        "The migrations in {folder} are written for {expected}, but {label} uses {actual}.",
        folder=folder,
        expected=expected,
        label=label,
        actual=actual,
    )


def has_sqlite_migrations(config: Config, label: str) -> bool:
    """Whether the label's migrations are for SQLite. False when they do not show it: then models are the source."""
    return dialect_of_migrations(config, label) == "sqlite"


async def applied_migrations(label: str) -> set[str]:
    """The migrations that the database has; none when aerich has never been used."""
    try:
        return set(await Aerich.filter(app=label).values_list("version", flat=True))  # type: ignore[arg-type]
    except DatabaseError as exc:
        if is_missing_table(exc):
            return set()
        raise


def aerich_target(config: Config) -> tuple[str, str]:
    """The configuration and the folder that the last `aerich init` wrote to the project's pyproject.toml.

    Both are empty when they cannot be read.
    """
    try:
        tools = tomllib.loads((config.project_dir() / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return "", ""
    section = tools.get("aerich") or tools.get("tortoise") or {}
    return str(section.get("tortoise_orm", "")), str(section.get("location", ""))


async def aerich_has_table() -> bool:
    """Whether the default database has the table in which aerich records all migrations."""
    try:
        await Aerich.exists()
    except DatabaseError as exc:
        if is_missing_table(exc):
            return False
        raise
    return True


async def missing_tables(models: Iterable[type[Model]]) -> list[str]:
    """The tables of these models that do not exist. The databases must be open."""
    missing = []
    for model in models:
        try:
            await model.filter(pk__isnull=True).limit(1).exists()
        except DatabaseError as exc:
            if not is_missing_table(exc):
                raise
            missing.append(model._meta.db_table)
    return missing


async def check_referenced_tables(label: str, migrated: Iterable[type[Model]]) -> None:
    """Raise MigrationError when the label's tables refer to tables of another service that do not exist yet."""
    for model in referenced_models(migrated):
        if missing := await missing_tables([model]):
            table, owner = missing[0], owner_of(model.__module__)
            raise MigrationError(
                _(
                    "The tables of {label} refer to the table {table} of {owner}, which does not exist yet. "
                    "Migrate {owner} first: sanicGuider migrate up {owner}",
                    label=label,
                    table=table,
                    owner=owner,
                )
            )
