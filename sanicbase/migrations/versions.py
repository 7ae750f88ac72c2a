"""Which migrations a service has committed, and which of them a database has, by aerich's own table."""

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
    """The dialect of the label's database, which is not asked for it."""
    tortoise = config.tortoise()
    engine = tortoise["connections"][tortoise["apps"][label]["default_connection"]]["engine"]
    dialect: Dialect = importlib.import_module(engine).client_class.capabilities.dialect
    return dialect


def migrated_apps(config: Config) -> dict[str, dict[str, Any]]:
    """The labels that the service migrates, as Tortoise takes them, its default one first."""
    shared = config.shared_labels()
    return {label: app for label, app in config.migrate_db()["apps"].items() if label not in shared}


def dialect_folder(config: Config, label: str) -> Path:
    """Where migrations of the label for its database are or will be: `<label>`, or `<dialect>/<label>`."""
    return folder_of(config.project_dir() / "migrations", label, dialect_of_label(config, label))


def migrations_dir(config: Config, label: str) -> Path:
    """The folder of the migrations of one label: its own, or the one of another dialect while that is the only one."""
    target, plain = dialect_folder(config, label), config.project_dir() / "migrations" / label
    return target if migrations_in(target) or not migrations_in(plain) else plain


def migration_files(config: Config, label: str) -> list[str]:
    """The committed migrations in their order: `["0_20260101000000_init.py"]`."""
    return [migration.name for migration in migrations_in(migrations_dir(config, label))]


def is_built_from_models(config: Config, label: str) -> bool:
    """Whether the label's tables are made from its models, whatever migrations there are.

    So for an embedded database beside a default one on a server: aerich notes in the default database what it did to
    the others, and a note that all machines share says nothing about a file that each of them has.
    """
    tortoise = config.tortoise()
    return bool(embedded_file(tortoise, label)) and not embedded_file(tortoise, config.SERVER_NAME)


def expected_migrations(config: Config, label: str) -> list[str]:
    """The committed migrations that the label's database is to have."""
    return [] if is_built_from_models(config, label) else migration_files(config, label)


def dialect_of_migrations(config: Config, label: str) -> Dialect | None:
    """The dialect of the label's migrations; None when nothing in them tells."""
    return dialect_of_files(migrations_dir(config, label))


def dialect_mismatch(config: Config, label: str) -> str:
    """A sentence when the label has migrations for another database only; empty when it has its own, or none."""
    written, dialect = dialect_of_migrations(config, label), dialect_of_label(config, label)
    if written in (None, dialect):
        return ""
    folder = migrations_dir(config, label).relative_to(config.project_dir())
    expected, actual = DATABASE_NAMES[written], DATABASE_NAMES[dialect]
    return f"The migrations in {folder} are written for {expected}, and {label} is on {actual}."


def has_sqlite_migrations(config: Config, label: str) -> bool:
    """Whether the label's migrations are SQLite's. False when nothing tells: tables built from the models are right."""
    return dialect_of_migrations(config, label) == "sqlite"


async def applied_migrations(label: str) -> set[str]:
    """The migrations that the database has, none where aerich never was."""
    try:
        return set(await Aerich.filter(app=label).values_list("version", flat=True))  # type: ignore[arg-type]
    except DatabaseError as exc:
        if is_missing_table(exc):
            return set()
        raise


def aerich_target(config: Config) -> tuple[str, str]:
    """The configuration and the folder that `aerich init` has named last in the project's pyproject.toml.

    Empty when nothing there can be read.
    """
    try:
        tools = tomllib.loads((config.project_dir() / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return "", ""
    section = tools.get("aerich") or tools.get("tortoise") or {}
    return str(section.get("tortoise_orm", "")), str(section.get("location", ""))


async def aerich_has_table() -> bool:
    """Whether the default database, where aerich takes its notes about all of them, has the table for it."""
    try:
        await Aerich.exists()
    except DatabaseError as exc:
        if is_missing_table(exc):
            return False
        raise
    return True


async def missing_tables(models: Iterable[type[Model]]) -> list[str]:
    """The tables of these models that their databases, which are open, do not have."""
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
    """Raise MigrationError when the label's tables refer to those of another service that are not there yet."""
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
