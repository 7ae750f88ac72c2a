"""Creates the tables of an embedded SQLite when a service starts. Other databases change only on command."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aerich import Command
from aerich.models import Aerich
from tortoise import Tortoise
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connection
from tortoise.models import Model

from sanicbase.config import Config
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.db.relations import migrated_models
from sanicbase.errors import ResourceError
from sanicbase.i18n import gettext as _
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

LOCK_TIMEOUT = 30.0  # seconds; another process of the service may be creating the tables


async def create_embedded_tables(config: Config) -> None:
    """Create the missing tables of embedded databases, and log their names.

    Committed migrations for SQLite are applied to an empty database. Migrations for another database cannot be
    applied: the tables are created from the models, and the migrations are marked as applied. After that, only
    migrations change migrated tables. Without migrations, tables of new models are created as well; tables of
    MODEL_EXTRA always are. Models of another service get the tables that this service would create, since either
    service may start first. A lock file serializes the processes. Raises ResourceError when another process holds it
    for too long.
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
                    logger.info("Created the tables %s in the embedded database %s.", ", ".join(created), file)


async def missing_columns(config: Config, label: str) -> list[str]:
    """The columns of the label's models that its embedded database does not have: `["xi_article.slug"]`."""
    client = get_connection(config.tortoise()["apps"][label]["default_connection"])
    missing = []
    for model in Tortoise.apps[label].values():
        rows = await client.execute_query_dict(f'PRAGMA table_info("{model._meta.db_table}")')
        if columns := {row["name"] for row in rows}:  # the next start creates a missing table
            missing += [f"{model._meta.db_table}.{column}" for column in sorted(model._meta.db_fields - columns)]
    return missing


@asynccontextmanager
async def _file_lock(file: Path) -> AsyncIterator[None]:
    from filelock import AsyncFileLock, Timeout  # with which other databases do nothing

    lock = AsyncFileLock(file.with_suffix(".lock"), timeout=LOCK_TIMEOUT)
    try:
        await lock.acquire()
    except Timeout as exc:
        raise ResourceError(
            _(
                "Another process has been creating the tables of {file} for {seconds:g} seconds. Stop it and start "
                "again.",
                file=file,
                seconds=LOCK_TIMEOUT,
            )
        ) from exc
    except OSError as exc:
        refusal = access_problem(Path(lock.lock_file))
        cause, remedy = refusal or (f"{exc.strerror}: {lock.lock_file}", _("Correct this"))
        raise ResourceError(
            _("The tables of {file} cannot be created: {cause}. {remedy}.", file=file, cause=cause, remedy=remedy)
        ) from exc
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
    """Whether the file has no tables of the label yet. It may have tables of another service."""
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
    """Create missing tables with their indexes. An existing table may lack the column of an index."""
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
