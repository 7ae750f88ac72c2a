"""The tables of an embedded SQLite, made at its first start. Other databases are never changed without being asked."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aerich import Command
from aerich.models import Aerich
from filelock import AsyncFileLock, Timeout
from tortoise import Tortoise
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connection
from tortoise.models import Model

from sanicbase.config import Config
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.db.relations import migrated_models
from sanicbase.errors import ResourceError
from sanicbase.migrations.apply import apply
from sanicbase.migrations.execution import execute
from sanicbase.migrations.journal import TABLE as JOURNAL
from sanicbase.migrations.report import Report
from sanicbase.migrations.schema.changes import Renames, diff_schemas
from sanicbase.migrations.schema.models import tables_of_model
from sanicbase.migrations.schema.sql import statements_of
from sanicbase.migrations.selection import Options
from sanicbase.migrations.status import Label, labels_of
from sanicbase.migrations.versions import (
    applied_migrations,
    dialect_folder,
    expected_migrations,
    has_sqlite_migrations,
    migrated_apps,
    migrations_dir,
)
from sanicbase.private_directory import access_problem

__all__ = ["create_embedded_tables", "missing_columns"]

logger = logging.getLogger("sanicbase.db")

LOCK_TIMEOUT = 30.0  # seconds; another process of the service may be making the tables


async def create_embedded_tables(config: Config) -> None:
    """Make the tables that an embedded database lacks, and say so.

    Committed migrations that were written for SQLite are applied to an empty one; those of another database cannot
    be, so the tables are built from the models and the migrations marked as applied. Afterwards, migrated tables are
    left to the migrations; without any, tables of models that were added since are made as well. So are those of
    MODEL_EXTRA always, for nobody else would. Models of another service are made as that service would make them, for
    either may be started first. A lock file keeps the processes apart: ResourceError when another keeps it for too
    long.
    """
    tortoise = config.tortoise()
    for label in [*config.shared_labels(), *migrated_apps(config)]:
        app = tortoise["apps"][label]
        if file := embedded_file(tortoise, label):
            client = get_connection(app["default_connection"])
            async with _file_lock(file):
                before = await _tables(client)
                await _create(config, tortoise, label, client)
                if created := sorted(await _tables(client) - before - {JOURNAL}):
                    logger.info("Made the tables %s in the embedded database %s.", ", ".join(created), file)


async def missing_columns(config: Config, label: str) -> list[str]:
    """The columns of the label's models that its embedded database lacks: `["xi_article.slug"]`."""
    client = get_connection(config.tortoise()["apps"][label]["default_connection"])
    missing = []
    for model in Tortoise.apps[label].values():
        rows = await client.execute_query_dict(f'PRAGMA table_info("{model._meta.db_table}")')
        columns = {row["name"] for row in rows}
        database_problems = (
            model._meta.db_fields - columns if columns else ()
        )  # a table that is missing is made by the next start
        missing += [f"{model._meta.db_table}.{column}" for column in sorted(database_problems)]
    return missing


@asynccontextmanager
async def _file_lock(file: Path) -> AsyncIterator[None]:
    lock = AsyncFileLock(file.with_suffix(".lock"), timeout=LOCK_TIMEOUT)
    try:
        await lock.acquire()
    except Timeout as exc:
        raise ResourceError(
            f"Another process has been making the tables of {file} for {LOCK_TIMEOUT:g} seconds. "
            "End it and start again."
        ) from exc
    except OSError as exc:
        refusal = access_problem(Path(lock.lock_file))
        cause, remedy = refusal or (f"{exc.strerror}: {lock.lock_file}", "Correct that")
        raise ResourceError(f"The tables of {file} cannot be made: {cause}. {remedy}.") from exc
    try:
        yield
    finally:
        await lock.release()


async def _create(config: Config, tortoise: dict[str, Any], label: str, client: BaseDBAsyncClient) -> None:
    fresh = await _is_fresh(label, client)
    files = expected_migrations(config, label)
    foreign = bool(files) and not has_sqlite_migrations(config, label)
    owner = config.shared_labels().get(label)
    if fresh and files and not foreign:
        connection = tortoise["apps"][label]["default_connection"]
        labels = [_label(config, label, owner, connection)] if owner else labels_of(config, connection)
        await apply(config, labels, Options(), Report(), lock=False)
    models = [*Tortoise.apps[label].values()]
    migrated = (models if owner else migrated_models(config)) if files and not (fresh and foreign) else []
    await _create_missing(client, [model for model in models if model not in migrated])
    if fresh and foreign:
        await _mark_applied(config, tortoise, label)


async def _is_fresh(label: str, client: BaseDBAsyncClient) -> bool:
    """Whether the file has nothing of the label yet; another service may have tables in it."""
    tables = {model._meta.db_table for model in Tortoise.apps[label].values() if model is not Aerich}
    return not tables & await _tables(client) and not await applied_migrations(label)


def _label(config: Config, label: str, owner: str, connection: str) -> Label:
    return Label(label, owner, connection, "sqlite", dialect_folder(config, label))


async def _tables(client: BaseDBAsyncClient) -> set[str]:
    rows = await client.execute_query_dict(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return {row["name"] for row in rows}


async def _create_missing(client: BaseDBAsyncClient, models: Iterable[type[Model]]) -> None:
    """Make the missing tables, with their indexes; one that is there may lack the column of an index."""
    existing = await _tables(client)
    tables = {table.name: table for model in models for table in tables_of_model(model, client)}
    missing = {name: table for name, table in tables.items() if name not in existing}
    for statement in statements_of(diff_schemas({}, missing, Renames(), "sqlite"), "sqlite", safe=True):
        await execute(client, statement)


async def _mark_applied(config: Config, tortoise: dict[str, Any], label: str) -> None:
    """Mark the migrations of another database as applied."""
    command = Command(tortoise, app=label, location=str(migrations_dir(config, label).parent))
    await command.init()
    await command.upgrade(fake=True)
