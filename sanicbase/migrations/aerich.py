"""The module that Tortoise imports besides aerich's model, which the `aerich` command and main processes open.

`Config` names this module among the models of each service, as it names the database engines. So aerich's own commands
work on the same files as documented, and write the SQL of this package: aerich's SQL loses rows and constraints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aerich
from aerich import Command
from aerich.migrate import Migrate
from aerich.models import Aerich
from aerich.utils import get_app_connection, get_formatted_compressed_data
from asyncclick import ClickException
from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.transactions import in_transaction

from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.autogenerate import (
    Draft,
    empty_draft,
    initial_draft,
    join_statements,
    last_state,
    next_draft,
    render_file,
    write_draft,
)
from sanicbase.migrations.execution import check_foreign_keys, execute, without_foreign_keys
from sanicbase.migrations.files import Migration, check_dialect
from sanicbase.migrations.journal import Journal
from sanicbase.migrations.renames import ask_at_terminal
from sanicbase.migrations.schema.state import state_of_models
from sanicbase.migrations.statements import split_statements
from sanicbase.migrations.versions import check_referenced_tables

__all__: list[str] = []

__models__ = [Aerich]

_upgrade, _downgrade_all, _upgrade_all = Command._upgrade, Command.downgrade, Command.upgrade


class _CommandError(ClickException, MigrationError):
    """An error that the `aerich` command prints as a sentence."""


@contextmanager
def _as_command_error() -> Iterator[None]:
    try:
        yield
    except MigrationError as exc:
        raise _CommandError(str(exc)) from exc


def _initial_draft(label: str, *, safe: bool) -> Draft:
    client = get_connection(_connection(label))
    return initial_draft(label, client.connection_name, client.capabilities.dialect, safe=safe)  # type: ignore[arg-type]


def _connection(label: str) -> str:
    return next(str(model._meta.default_connection) for model in Tortoise.apps[label].values())


def _schema_sql(client: Any, safe: bool) -> str:
    """`aerich init-db`: the statements that create the tables of the label."""
    return join_statements(_initial_draft(Migrate.app, safe=safe).upgrade)


async def _make_schema(client: Any, safe: bool) -> None:
    with _as_command_error():
        await check_referenced_tables(Migrate.app, Tortoise.apps[Migrate.app].values())
    async with in_transaction(client.connection_name) as db:
        for statement in _initial_draft(Migrate.app, safe=safe).upgrade:
            await execute(db, statement)


def _describe(label: str) -> dict[str, Any]:
    return state_of_models(label, _connection(label))


def _file_text(
    cls: type[Migrate], upgrade_sql: str, models_state: str | dict[str, Any], downgrade_sql: str = ""
) -> str:
    if isinstance(models_state, dict):
        models_state = get_formatted_compressed_data(models_state)
    dialect: Any = get_connection(_connection(cls.app)).capabilities.dialect
    return render_file(dialect, upgrade_sql, downgrade_sql, models_state)


async def _migrate(
    cls: type[Migrate], name: str, empty: bool, no_input: bool = False, offline: bool = False
) -> str | None:
    """`aerich migrate`: the next file, from the state in the last one. It replaces no file and guesses no rename."""
    with _as_command_error():
        last = _last_state(cls, offline=offline)
        dialect: Any = cls.dialect
        if empty:
            return write_draft(cls.migrate_location, name, empty_draft(dialect, last)).name
        ask = None if no_input else ask_at_terminal
        draft = next_draft(cls.app, _connection(cls.app), dialect, last, ask=ask)
        return write_draft(cls.migrate_location, name, draft).name if draft.upgrade else ""


def _last_state(migrate: type[Migrate], *, offline: bool) -> Mapping[str, Any]:
    """The state of the models in the last file; aerich's table has it for files of old versions."""
    try:
        state = last_state(migrate.migrate_location)
    except MigrationError:
        if offline or migrate._last_version_content is None:
            raise
        state = None
    return state if state is not None else migrate._last_version_content or {}


async def _upgrade_whole(
    self: Command, conn: Any, version_file: str, fake: bool = False, version_module: Any = None
) -> None:
    """Replaces aerich's method of the same name; refuses migrations that aerich cannot apply completely.

    aerich does not support data migrations, or migrations that `sanicGuider migrate up` has partly applied.
    """
    if fake:
        return await _upgrade(self, conn, version_file, fake, version_module)
    folder = Path(version_module.module_finder.path) if version_module else Migrate.migrate_location
    migration = Migration(folder / version_file)
    with _as_command_error():
        check_dialect(migration, self.app, conn.capabilities.dialect)
        await _refuse_interrupted(migration, conn, self.app)
        for statement in split_statements(await migration.script_function("upgrade")(conn), conn.capabilities.dialect):
            await execute(conn, statement)
        await check_foreign_keys(conn)
    await _upgrade(self, conn, version_file, True, version_module)
    return None


async def _apply_all(self: Command, *args: Any, **kwargs: Any) -> list[str]:
    async with without_foreign_keys(get_app_connection(self.tortoise_config, self.app)):
        return await _upgrade_all(self, *args, **kwargs)


async def _revert_all(self: Command, *args: Any, **kwargs: Any) -> list[str]:
    async with without_foreign_keys(get_app_connection(self.tortoise_config, self.app)):
        return await _downgrade_all(self, *args, **kwargs)


async def _refuse_interrupted(migration: Migration, conn: Any, label: str) -> None:
    name, dialect = migration.name, conn.capabilities.dialect
    if migration.migrate_data is not None:
        raise MigrationError(
            _(
                "{migration} has a data migration, which aerich does not support. Run: sanicGuider migrate up",
                migration=name,
            )
        )
    if dialect != "mysql" and migration.in_transaction:
        return  # the rollback has removed everything
    steps = (await Journal(conn, label, dialect).read())[0]
    if any(note.migration == name for note in steps):
        raise MigrationError(
            _(
                "{migration} is partly applied, and aerich would start it again. Run: sanicGuider migrate up",
                migration=name,
            )
        )


# `init-db` is already running when Tortoise imports this module: it looks these names up later.
vars(aerich).update(get_schema_sql=_schema_sql, generate_schema_for_client=_make_schema, get_models_describe=_describe)
Migrate.build_migration_file_text = classmethod(_file_text)  # type: ignore[assignment]
Command._upgrade = _upgrade_whole  # type: ignore[method-assign]
Command.upgrade = _apply_all  # type: ignore[method-assign]
Command.downgrade = _revert_all  # type: ignore[method-assign]
Migrate.migrate = classmethod(_migrate)  # type: ignore[assignment]
