"""Compares a label's database with its migrations, without changing anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aerich.models import Aerich
from tortoise.connection import get_connection

from sanicbase.config import Config
from sanicbase.config.settings import AERICH
from sanicbase.db import Database
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.db.engine.translation import is_missing_table
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.files import Migration, migrations_in
from sanicbase.migrations.journal import Journal, JournalEntry
from sanicbase.migrations.statements import DATABASE_NAMES, Dialect
from sanicbase.migrations.versions import (
    dialect_folder,
    dialect_of_label,
    dialect_of_migrations,
    is_built_from_models,
    migrated_apps,
)

__all__ = ["Label", "MigrationStatus", "check_label_dialect", "labels_of", "migration_databases", "read_status"]


@dataclass(frozen=True)
class Label:
    """A label of a service: the models on one connection, and the folder of their migrations."""

    name: str
    service: str
    connection: str
    dialect: Dialect
    folder: Path
    needs_migrations: bool = True
    """Whether it has models whose tables only its migrations create."""


@dataclass(frozen=True)
class MigrationStatus:
    """The migrations that a database has of a label, as read at one moment."""

    label: Label
    migrations: tuple[Migration, ...]
    applied: tuple[str, ...]
    """From aerich's table, in the order in which they were applied."""
    applied_entries: Mapping[str, JournalEntry]
    """The journal's records of migrations that `up` has applied."""
    steps: tuple[JournalEntry, ...]
    """The journal's record of the partly applied migration."""
    other_dialect_files: frozenset[str] = frozenset()
    """The label's files for other databases: an embedded database that is created from the models records them."""

    @property
    def pending(self) -> list[Migration]:
        """The migrations that are not applied, in order."""
        return [migration for migration in self.migrations if migration.name not in self.applied]

    @property
    def missing(self) -> list[str]:
        """The applied migrations whose files are missing."""
        names = {migration.name for migration in self.migrations} | self.other_dialect_files
        return [name for name in self.applied if name not in names]

    @property
    def changed(self) -> list[Migration]:
        """The applied migrations whose files have changed since; only those that `up` has applied."""
        return [
            migration
            for migration in self.migrations
            if (entry := self.applied_entries.get(migration.name)) and entry.digest != migration.digest
        ]

    @property
    def out_of_order(self) -> list[Migration]:
        """The migrations that are not applied although a later one is."""
        numbers = [migration.number for migration in self.migrations if migration.name in self.applied]
        return [migration for migration in self.pending if migration.number <= max(numbers, default=-1)]

    @property
    def interrupted(self) -> JournalEntry | None:
        """The step at which a migration stopped, or the last one that is done; None when none is partly applied."""
        if not self.steps or self.is_finished:
            return None
        return next((entry for entry in self.steps if entry.state != "done"), self.steps[-1])

    @property
    def is_finished(self) -> bool:
        """Whether all steps in the journal belong to a migration that aerich's table records as applied."""
        return all((entry.migration in self.applied) == (entry.direction == "up") for entry in self.steps)

    def warnings(self) -> list[str]:
        """A warning for each irregularity."""
        missing = [
            _(
                "{migration} of {label} is applied, but its file is missing. Restore it from version control, "
                "because a new database would differ.",
                migration=name,
                label=self.label.name,
            )
            for name in self.missing
        ]
        changed = [
            _(
                "{migration} of {label} was changed after it was applied, and this database does not get the "
                "change. Restore the file, and write the change as a new migration.",
                migration=migration.name,
                label=self.label.name,
            )
            for migration in self.changed
        ]
        first = [
            _(
                "{label} has no migrations yet. Create the first: {command}",
                label=self.label.name,
                command=_init_command(self.label),
            )
        ]
        return [*missing, *changed, *(first if self.label.needs_migrations and not self.migrations else ())]


@asynccontextmanager
async def migration_databases(config: Config) -> AsyncIterator[Config]:
    """The databases of a service, opened for its migrations: its migrated models, those of other services that they may
    reference, and no statement timeout."""
    update: dict[str, object] = {"MODEL_EXTRA": config.shared_models, "DB_REPLICAS": {}, "DB_STATEMENT_TIMEOUT": None}
    unlimited = config.model_copy(update=update)
    async with Database(unlimited):
        yield unlimited


def labels_of(config: Config, connection: str | None = None) -> list[Label]:
    """The labels of a service that have models, or the one on that connection. Raises MigrationError if there is
    none."""
    apps = migrated_apps(config)
    followed = {name: app["default_connection"] for name, app in apps.items() if not is_built_from_models(config, name)}
    labels = [
        Label(
            name,
            config.SERVER_NAME,
            connection_name,
            dialect_of_label(config, name),
            dialect_folder(config, name),
            needs_migrations=bool(set(apps[name]["models"]) - {*AERICH}) and not embedded_file(config.tortoise(), name),
        )
        for name, connection_name in followed.items()
        if connection in (None, connection_name)
    ]
    if labels:
        return labels
    known = ", ".join(followed.values())
    raise MigrationError(
        _(
            "{service} has no migrated models on a connection {connection}. The connections are: {connections}.",
            service=config.SERVER_NAME,
            connection=connection,
            connections=known,
        )
    )


async def read_status(label: Label) -> MigrationStatus:
    """The status of the label's database."""
    steps, whole = await Journal(get_connection(label.connection), label.name, label.dialect).read()
    return MigrationStatus(
        label=label,
        migrations=tuple(migrations_in(label.folder)),
        applied=tuple(await _applied(label.name)),
        applied_entries=whole,
        steps=tuple(steps),
        other_dialect_files=_other_dialect_files(label),
    )


def _other_dialect_files(label: Label) -> frozenset[str]:
    parent = label.folder.parent
    root = parent.parent if parent.name in DATABASE_NAMES else parent
    folders = {root / label.name, *(root / dialect / label.name for dialect in DATABASE_NAMES)} - {label.folder}
    return frozenset(migration.name for folder in folders for migration in migrations_in(folder))


def check_label_dialect(config: Config, label: Label) -> None:
    """Raise MigrationError when all migrations of the label are written for another database."""
    if migrations_in(label.folder) or (written := dialect_of_migrations(config, label.name)) in (None, label.dialect):
        return
    expected, actual = DATABASE_NAMES[written], DATABASE_NAMES[label.dialect]
    raise MigrationError(
        _(
            "The migrations of {label} are written for {folder}, but its database is {own}. Create "
            "migrations for it: {command}",
            label=label.name,
            folder=expected,
            own=actual,
            command=_init_command(label),
        )
    )


def _init_command(label: Label) -> str:
    """The command that writes the first migration of a label for its dialect."""
    connection = "" if label.name == label.service else f" --connection {label.connection}"
    return f"sanicGuider migrate init {label.service}{connection}"


async def _applied(label: str) -> list[str]:
    try:
        names: list[str] = await Aerich.filter(app=label).order_by("id").values_list("version", flat=True)  # type: ignore[assignment]
    except DatabaseError as exc:
        if is_missing_table(exc):
            return []
        raise
    return names
