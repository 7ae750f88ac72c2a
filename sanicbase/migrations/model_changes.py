"""Whether the models have changed since their last migration, which is what `migrate make` finds out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aerich.models import Aerich
from tortoise.exceptions import FieldError

from sanicbase.config import Config
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.errors import MigrationError
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
    """What `migrate make` would write now, or why it would have to ask."""

    statements: tuple[str, ...] = ()
    question: str = ""
    """Sentences, the last of which is the remedy."""


class UnreadableRecord(MigrationError):
    """The note in aerich's table about the last migration of a label cannot be read, or is not safe to read.

    `row` is its number in the table, `reason` what is wrong with it.
    """

    def __init__(self, label: str, row: int, reason: str) -> None:
        super().__init__(
            f"In the table aerich of the default database, row {row}, which is about {label}, was not read: {reason}. "
            "Find out who may write to the table, then delete the row and have aerich write it again. "
            f"Run: aerich --app {label} upgrade --fake"
        )
        self.label = label
        self.row = row
        self.reason = reason


async def model_changes(config: Config) -> dict[str, ModelChanges]:
    """What `migrate make` would write now, by the label.

    The databases are open without the service's own files of MODEL_EXTRA.

    Labels without migrations, or whose database lacks one, are left out: `lacking` has told of them. Raises
    UnreadableNote when what aerich has noted about a label cannot be read, or when reading it would run code.
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
    except MigrationError:  # of an old version of aerich: its table has what the file lacks
        last = recorded
    connection = tortoise["apps"][label]["default_connection"]
    try:
        draft = next_draft(label, connection, dialect_of_label(config, label), last or {})
    except MigrationError as exc:  # a change all the same, that somebody has to be asked about
        return ModelChanges(question=str(exc))
    return ModelChanges(draft.upgrade)


async def _recorded_state(label: str) -> Mapping[str, Any]:
    """What aerich has noted of the models. Reading it would run code, if somebody else has written it."""
    try:
        note = await Aerich.filter(app=label).first()
    except FieldError as exc:  # Tortoise's, for a JSON column that its decoder has refused
        refused = exc.__cause__
        reason = refused.reason if isinstance(refused, UnsafePickle) else f"{refused}"
        row = await Aerich.filter(app=label).first().values("id")
        raise UnreadableRecord(label, row["id"], reason) from exc
    content: Mapping[str, Any] = note.content if note else {}
    return content
