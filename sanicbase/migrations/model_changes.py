"""Checks whether models have changed since their last migration, as `migrate make` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aerich.models import Aerich
from tortoise.exceptions import FieldError

from sanicbase.config import Config
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.autogenerate import last_state, next_draft
from sanicbase.migrations.pickles import UnsafePickle
from sanicbase.migrations.versions import (
    applied_migrations,
    dialect_of_label,
    expected_migrations,
    has_sqlite_migrations,
    migrated_apps,
    migrations_dir,
)

__all__ = ["ModelChanges", "UnreadableRecord", "model_changes"]


@dataclass(frozen=True)
class ModelChanges:
    """The statements that `migrate make` would write, or the question that it would ask."""

    statements: tuple[str, ...] = ()
    question: str = ""
    """Sentences; the last one is the remedy."""


class UnreadableRecord(MigrationError):
    """The record of a label's last migration in aerich's table cannot be read, or is not safe to read.

    `row` is its id in the table, `reason` the cause.
    """

    def __init__(self, label: str, row: int, reason: str) -> None:
        sentence = _(
            "In the table aerich of the default database, row {row} of {label} was not read: {reason}.",
            row=row,
            label=label,
            reason=reason,
        )
        aerich = f"aerich --app {label}"
        remedy = _(
            "Find out who may write to the table, then delete the row and run: {aerich} upgrade --fake", aerich=aerich
        )
        super().__init__(_("{cause} {remedy}", cause=sentence, remedy=remedy))
        self.label = label
        self.row = row
        self.reason = reason


async def model_changes(config: Config) -> dict[str, ModelChanges]:
    """The changes that `migrate make` would write, by label.

    The databases must be open, without the files of MODEL_EXTRA. The result does not contain labels without migrations
    or with pending ones: `database_problems` reports those. Raises UnreadableRecord when aerich's record of a label
    cannot be read, or when reading it would run code.
    """
    labels = [label for label in migrated_apps(config) if await _is_up_to_date(config, label)]
    by_label = {label: await _changes(config, label) for label in labels}
    return {label: changes for label, changes in by_label.items() if changes != ModelChanges()}


async def _is_up_to_date(config: Config, label: str) -> bool:
    files = expected_migrations(config, label)
    foreign = bool(files) and embedded_file(config.tortoise(), label) and not has_sqlite_migrations(config, label)
    return bool(files) and not foreign and set(files) <= await applied_migrations(label)


async def _changes(config: Config, label: str) -> ModelChanges:
    recorded = await _recorded_state(label)
    tortoise = config.migrate_db()
    try:
        last = last_state(migrations_dir(config, label))
    except MigrationError:  # an old version of aerich wrote the file; the table has the state
        last = recorded
    connection = tortoise["apps"][label]["default_connection"]
    try:
        draft = next_draft(label, connection, dialect_of_label(config, label), last or {})
    except MigrationError as exc:  # the models have changed, and `migrate make` has a question
        return ModelChanges(question=str(exc))
    return ModelChanges(draft.upgrade)


async def _recorded_state(label: str) -> Mapping[str, Any]:
    """The state of the models that aerich recorded. Reading a record of someone else could run code."""
    try:
        record = await Aerich.filter(app=label).first()
    except FieldError as exc:  # Tortoise raises it when the decoder of a JSON column fails
        cause = exc.__cause__
        reason = cause.reason if isinstance(cause, UnsafePickle) else f"{cause}"
        row = await Aerich.filter(app=label).first().values("id")
        raise UnreadableRecord(label, row["id"], reason) from exc
    content: Mapping[str, Any] = record.content if record else {}
    return content
