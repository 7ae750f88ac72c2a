"""The next migration of a label, from the state that the last one has left to the models as they are."""

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
from sanicbase.migrations.renaming import Answers, Ask, renames_between
from sanicbase.migrations.schema.changes import Changes, Renames, changes
from sanicbase.migrations.schema.sql import statements_of
from sanicbase.migrations.schema.state import schema_of_state, state_of_models
from sanicbase.migrations.statements import Dialect

__all__ = ["Draft", "draft", "empty_draft", "file_text", "first", "last_state", "next_name", "script", "write"]

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
        """The file."""
        state = get_formatted_compressed_data(dict(self.state))
        return file_text(self.dialect, script(self.upgrade), script(self.downgrade), state)


def first(label: str, connection: str, dialect: Dialect, *, safe: bool = False) -> Draft:
    """The migration that makes all tables of a label; `safe` leaves those that are there as they are.

    It has no way back, which would be to drop them all.
    """
    state = state_of_models(label, connection)
    new = schema_of_state(state, dialect)
    made = changes({}, new, Renames(), dialect)
    return Draft(dialect, made, tuple(statements_of(made, dialect, safe=safe)), (), state)


def draft(
    label: str,
    connection: str,
    dialect: Dialect,
    last: Mapping[str, Any],
    answers: Answers | None = None,
    ask: Ask | None = None,
) -> Draft:
    """The migration from the last state to the models; without statements when nothing has changed.

    Raises MigrationError when something may have been renamed and nobody can be asked, or when no statement makes it.
    """
    state = state_of_models(label, connection)
    old, new = schema_of_state(last, dialect), schema_of_state(state, dialect)
    renames = renames_between(old, new, answers or Answers(), ask)
    there = changes(old, new, renames, dialect)
    back = changes(new, old, renames.back(), dialect)
    return Draft(
        dialect,
        there,
        tuple(statements_of(there, dialect)),
        tuple(statements_of(back, dialect, back=True)),
        state,
    )


def empty_draft(dialect: Dialect, last: Mapping[str, Any]) -> Draft:
    """A migration to be written by hand: the tables stay as the last one has left them."""
    return Draft(dialect, Changes((), (), ()), (), (), last)


def last_state(folder: Path) -> Mapping[str, Any] | None:
    """The state that the last file of a folder has left; None when there are no files.

    Raises MigrationError when the file says nothing of it, as those of old versions of aerich.
    """
    files = migrations_in(folder)
    if not files:
        return None
    if (state := files[-1].models_state) is None:
        raise MigrationError(
            _(
                "{path} does not say what the models were, as files of aerich before 0.9.2 do not. Run: aerich "
                "fix-migrations",
                path=files[-1].path,
            )
        )
    return state


def next_name(folder: Path, name: str) -> str:
    """The name of the next file: its number is above all that are there, whether or not they are applied."""
    if not NAME.fullmatch(name):
        raise MigrationError(_("{name} cannot be a part of a file's name. Use letters, digits and _.", name=name))
    number = max((migration.number for migration in migrations_in(folder)), default=-1) + 1
    moment = datetime.now(tz=UTC).astimezone().strftime("%Y%m%d%H%M%S")
    version = f"{number}_{moment}_{name}.py"
    if len(version) > MAX_VERSION_LENGTH:
        raise MigrationError(
            _(
                "The name {name} is too long: {version} has more than {longest} characters.",
                name=name,
                version=version,
                longest=MAX_VERSION_LENGTH,
            )
        )
    return version


def write(folder: Path, name: str, made: Draft) -> Path:
    """Write the file as the next one of the folder: whole, or not at all. What is there is never replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / next_name(folder, name)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text(made.text(), encoding="utf-8")
        os.link(part, path)  # unlike a rename, it fails where the file is there
    finally:
        part.unlink(missing_ok=True)
    return path


def script(statements: Sequence[str]) -> str:
    """The statements one after another."""
    return "".join(f"\n{statement};" for statement in statements)


def file_text(dialect: Dialect, upgrade: str, downgrade: str, state: str) -> str:
    """A migration's file: the two scripts, and the state as aerich keeps it."""
    return FILE.format(
        dialect=dialect,
        in_transaction=dialect != "mysql",
        upgrade=_quoted(upgrade),
        downgrade=_quoted(downgrade),
        state=state,
    )


def _quoted(text: str) -> str:
    """The text as it stands between three quotes."""
    code = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return code[:-1] + '\\"' if code.endswith('"') and not code.endswith('\\"') else code
