"""Generates the next migration of a label from the difference between the last state and the models."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aerich.models import MAX_VERSION_LENGTH
from aerich.utils import get_formatted_compressed_data

from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.files import migrations_in
from sanicbase.migrations.renames import Ask, RenameAnswers, detect_renames
from sanicbase.migrations.schema.changes import Changes, Renames, diff_schemas
from sanicbase.migrations.schema.sql import statements_of
from sanicbase.migrations.schema.state import schema_of_state, state_of_models
from sanicbase.migrations.statements import Dialect

__all__ = [
    "Draft",
    "empty_draft",
    "initial_draft",
    "join_statements",
    "last_state",
    "next_draft",
    "next_file_name",
    "render_file",
    "write_draft",
]

FILE = '''\
from tortoise import BaseDBAsyncClient

DIALECT = "{dialect}"
RUN_IN_TRANSACTION = {in_transaction}


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """{upgrade}"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """{downgrade}"""


MODELS_STATE = (
    {state}
)
'''
NAME = re.compile(r"\w+")


@dataclass(frozen=True)
class Draft:
    """A migration that is not written yet."""

    dialect: Dialect
    changes: Changes
    upgrade: tuple[str, ...]
    downgrade: tuple[str, ...]
    state: Mapping[str, Any]

    def text(self) -> str:
        """The content of the file."""
        state = get_formatted_compressed_data(dict(self.state))
        return render_file(self.dialect, join_statements(self.upgrade), join_statements(self.downgrade), state)


def initial_draft(label: str, connection: str, dialect: Dialect, *, safe: bool = False) -> Draft:
    """The migration that creates all tables of a label; `safe` skips existing ones.

    It has no downgrade, which would drop all tables.
    """
    state = state_of_models(label, connection)
    new = schema_of_state(state, dialect)
    creation = diff_schemas({}, new, Renames(), dialect)
    return Draft(dialect, creation, tuple(statements_of(creation, dialect, safe=safe)), (), state)


def next_draft(
    label: str,
    connection: str,
    dialect: Dialect,
    last: Mapping[str, Any],
    answers: RenameAnswers | None = None,
    ask: Ask | None = None,
) -> Draft:
    """The migration from the last state to the models; without statements when nothing has changed.

    Raises MigrationError when a possible rename cannot be confirmed, or when no statement can make the change.
    """
    state = state_of_models(label, connection)
    old, new = schema_of_state(last, dialect), schema_of_state(state, dialect)
    renames = detect_renames(old, new, answers or RenameAnswers(), ask)
    forward = diff_schemas(old, new, renames, dialect)
    backward = diff_schemas(new, old, renames.inverted(), dialect)
    return Draft(
        dialect,
        forward,
        tuple(statements_of(forward, dialect)),
        tuple(statements_of(backward, dialect, reverse=True)),
        state,
    )


def empty_draft(dialect: Dialect, last: Mapping[str, Any]) -> Draft:
    """A migration to be written by hand: it keeps the state of the last one."""
    return Draft(dialect, Changes((), (), ()), (), (), last)


def last_state(folder: Path) -> Mapping[str, Any] | None:
    """The state in the last file of a folder; None when there are no files.

    Raises MigrationError when the file has no state, as those of old versions of aerich.
    """
    files = migrations_in(folder)
    if not files:
        return None
    if (state := files[-1].models_state) is None:
        raise MigrationError(
            _(
                "{path} has no MODELS_STATE, like files of aerich before 0.9.2. Run: aerich fix-migrations",
                path=files[-1].path,
            )
        )
    return state


def next_file_name(folder: Path, name: str) -> str:
    """The name of the next file: its number is higher than all existing ones, applied or not."""
    if not NAME.fullmatch(name):
        raise MigrationError(_("{name} is not valid in a file name. Use letters, digits and _.", name=name))
    number = max((migration.number for migration in migrations_in(folder)), default=-1) + 1
    moment = datetime.now(tz=UTC).astimezone().strftime("%Y%m%d%H%M%S")
    version = f"{number}_{moment}_{name}.py"
    if len(version) > MAX_VERSION_LENGTH:
        raise MigrationError(
            _(
                "The name {name} is too long: {version} is longer than {max_length} characters.",
                name=name,
                version=version,
                max_length=MAX_VERSION_LENGTH,
            )
        )
    return version


def write_draft(folder: Path, name: str, draft: Draft) -> Path:
    """Write the file as the next one of the folder, atomically. An existing file is never replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / next_file_name(folder, name)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text(draft.text(), encoding="utf-8")
        os.link(part, path)  # unlike a rename, it fails when the file exists
    finally:
        part.unlink(missing_ok=True)
    return path


def join_statements(statements: Sequence[str]) -> str:
    """The statements as one script."""
    return "".join(f"\n{statement};" for statement in statements)


def render_file(dialect: Dialect, upgrade: str, downgrade: str, state: str) -> str:
    """The content of a migration file: both scripts, and the state in aerich's format."""
    return FILE.format(
        dialect=dialect,
        in_transaction=dialect != "mysql",
        upgrade=_quoted(upgrade),
        downgrade=_quoted(downgrade),
        state=state,
    )


def _quoted(text: str) -> str:
    """The text, escaped for a triple-quoted string."""
    code = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return code[:-1] + '\\"' if code.endswith('"') and not code.endswith('\\"') else code
