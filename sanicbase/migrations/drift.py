"""Whether the models have changed since their last migration, which is what `aerich migrate` finds out."""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from aerich.exceptions import NotSupportError
from aerich.migrate import Migrate
from aerich.models import Aerich
from tortoise.exceptions import FieldError

from sanicbase.config import Config
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.errors import MigrationError
from sanicbase.migrations.pickles import UnsafePickle
from sanicbase.migrations.versions import applied_migrations, followed_migrations, migrations_dir, written_for_sqlite

__all__ = ["UnreadableNote", "unwritten_changes"]


class UnreadableNote(MigrationError):
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


async def unwritten_changes(config: Config) -> dict[str, list[str]]:
    """The statements that `aerich migrate` would write now, by the label. The databases are open without MODEL_EXTRA.

    Labels without migrations, or whose database lacks one, are left out: `lacking` has told of them. Raises
    UnreadableNote when what aerich has noted about a label cannot be read, or when reading it would run code.
    """
    labels = [label for label in config.migrate_db()["apps"] if await _is_followed(config, label)]
    found = {label: await _changes(config, label) for label in labels}
    return {label: statements for label, statements in found.items() if statements}


async def _is_followed(config: Config, label: str) -> bool:
    files = followed_migrations(config, label)
    foreign = bool(files) and embedded_file(config.tortoise(), label) and not written_for_sqlite(config, label)
    return bool(files) and not foreign and set(files) <= await applied_migrations(label)


async def _changes(config: Config, label: str) -> list[str]:
    differ = _differ()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        await _init(differ, config, label)
        differ.migrate_location = Path(folder)  # where the file is written that nobody wants
        try:
            await differ.migrate("changes", empty=False, no_input=True)
        except NotSupportError as exc:  # a change all the same, which SQLite has no statement for
            return [str(exc)]
    return list(differ.upgrade_operators)


async def _init(differ: type[Migrate], config: Config, label: str) -> None:
    try:
        await differ.init(config.migrate_db(), label, str(migrations_dir(config, label).parent))
    except FieldError as exc:  # Tortoise's, for a JSON column that its decoder has refused
        refused = exc.__cause__
        reason = refused.reason if isinstance(refused, UnsafePickle) else f"{refused}"
        row = await Aerich.filter(app=label).first().values("id")
        raise UnreadableNote(label, row["id"], reason) from exc


def _differ() -> type[Migrate]:
    """A class of its own for each label: aerich gathers what it finds in lists of its class, which nobody empties."""

    class Differ(Migrate):
        pass

    for name, value in vars(Migrate).items():
        if isinstance(value, list | dict):
            setattr(Differ, name, type(value)())
    return Differ
