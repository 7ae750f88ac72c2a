"""An existing table of a service's database, and the models that it refers to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.models import Model

from sanicbase.config import Config
from sanicbase.db import Database
from sanicbase.db.relations import migrated_models
from sanicbase.i18n import gettext as _
from sanicbase.jobs.command import UsageError, service_config
from sanicbase.migrations.introspection import TableInfo, read_tables
from sanicbase.migrations.statements import Dialect

__all__ = ["RelatedModel", "SourceTable", "read_source_table"]


@dataclass(frozen=True)
class RelatedModel:
    """A model of the service, as a target of relations."""

    name: str
    module: str
    reference: str
    """Its name in Tortoise: `shop.Author`."""
    key: str
    unique: Mapping[str, str]
    """The fields that a relation can reference, by column."""
    names: frozenset[str]
    """Its attributes."""
    migrated: bool
    """Whether the service's migrations create its table."""


@dataclass(frozen=True)
class SourceTable:
    """A table of the service's database."""

    table: TableInfo
    dialect: Dialect
    label: str
    """The label of the connection's models."""
    models: Mapping[str, RelatedModel]
    """The models on the same connection, by table."""
    referring: frozenset[str]
    """The types of all columns that reference this table's key."""
    files: tuple[str, ...]
    """The files of `model_db/` whose models use the connection according to the settings."""


def read_source_table(service: str, table: str, connection: str) -> SourceTable:
    """Read the table from the database.

    Raises ValueError with a sentence when there is no such connection or table, SanicBaseError when the database cannot
    be read.
    """
    config = _config(service)
    if connection not in config.databases():
        known = ", ".join(config.databases())
        raise ValueError(
            _(
                "{service} has no connection {connection}. The connections are: {connections}.",
                service=service,
                connection=connection,
                connections=known,
            )
        )
    return asyncio.run(_existing(config, table, connection))


def _config(service: str) -> Config:
    try:
        return service_config(service)
    except UsageError as exc:
        raise ValueError(str(exc)) from exc


async def _existing(config: Config, name: str, connection: str) -> SourceTable:
    async with Database(config.model_copy(update={"DB_REPLICAS": {}, "DB_STATEMENT_TIMEOUT": None}), connect=False):
        client = get_connection(connection)
        dialect: Dialect = client.capabilities.dialect  # type: ignore[assignment]
        tables = await read_tables(client, dialect)
        if name not in tables:
            raise ValueError(_no_table(name, connection, list(tables)))
        label = config.SERVER_NAME if connection == "default" else f"{config.SERVER_NAME}_{connection}"
        migrated = migrated_models(config)
        return SourceTable(
            table=tables[name],
            dialect=dialect,
            label=label,
            models={
                model._meta.db_table: _related_model(model, label, migrated=model in migrated)  # noqa: SLF001
                for app, models in Tortoise.apps.items()
                if app == label
                for model in models.values()
            },
            referring=frozenset(_referencing_types(tables, name)),
            files=tuple(_files(config, connection)),
        )


def _related_model(model: type[Model], label: str, *, migrated: bool) -> RelatedModel:
    meta = model._meta  # noqa: SLF001  (Tortoise describes a model there only)
    columns = meta.fields_db_projection
    return RelatedModel(
        name=model.__name__,
        module=model.__module__,
        reference=f"{label}.{model.__name__}",
        key=meta.db_pk_column,
        unique={column: name for name, column in columns.items() if meta.fields_map[name].unique},
        names=frozenset(meta.fields_map),
        migrated=migrated,
    )


def _referencing_types(tables: Mapping[str, TableInfo], name: str) -> list[str]:
    return [
        table.columns[key.columns[0]].type
        for table in tables.values()
        for key in table.foreign_keys
        if key.table == name and key.targets == tables[name].key
    ]


def _files(config: Config, connection: str) -> list[str]:
    elsewhere = {file: name for name, files in config.DB_MODELS.items() for file in files}
    return [file for file in [*config.MODEL_LIST, *config.MODEL_EXTRA] if elsewhere.get(file, "default") == connection]


def _no_table(name: str, connection: str, tables: list[str]) -> str:
    near = get_close_matches(name, tables, n=5, cutoff=0.5) or tables[:10]
    listed = ", ".join(near)
    if not tables:
        return _("There is no table {name}: the database {connection} has no tables.", name=name, connection=connection)
    return _(
        "There is no table {name} in the database {connection}. Similar tables: {tables}.",
        name=name,
        connection=connection,
        tables=listed,
    )
