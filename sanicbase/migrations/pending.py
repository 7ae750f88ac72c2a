"""Checks whether databases have all migrations and tables. It never applies any."""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aerich.models import Aerich
from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.models import Model

from sanicbase.config import Config
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.db.engine.outage import reason
from sanicbase.db.errors import DatabaseError
from sanicbase.db.relations import migrated_models
from sanicbase.errors import MigrationError, ResourceError
from sanicbase.i18n import gettext as _
from sanicbase.i18n import ngettext
from sanicbase.migrations.embedded import create_embedded_tables, missing_columns
from sanicbase.migrations.files import Migration
from sanicbase.migrations.journal import Journal
from sanicbase.migrations.statements import DATABASE_NAMES
from sanicbase.migrations.versions import (
    aerich_has_table,
    aerich_target,
    applied_migrations,
    dialect_folder,
    dialect_mismatch,
    dialect_of_label,
    expected_migrations,
    has_sqlite_migrations,
    migrated_apps,
    migrations_dir,
    missing_tables,
)

__all__ = ["DatabaseProblem", "aerich_command", "database_problems", "prepare_tables"]

logger = logging.getLogger("sanicbase.db")


@dataclass(frozen=True)
class DatabaseProblem:
    """A migration or table that a database does not have, and the remedy."""

    sentence: str
    remedy: str


async def prepare_tables(config: Config) -> None:
    """Create the tables of embedded databases, and check the migrations of all databases, which must be open.

    When a database lacks a migration or a table, it logs a warning in dev and test, and raises MigrationError in prod.
    Raises ResourceError when the account has no permission to read the tables.
    """
    try:
        await create_embedded_tables(config)
        await _check_migrations(config)
    except DatabaseError as exc:
        setting = f"{config.env_prefix()}DB_URL"
        raise ResourceError(
            _(
                "The tables of {service} cannot be read: {reason}. Grant the account in {setting} read access.",
                service=config.SERVER_NAME,
                reason=reason(exc),
                setting=setting,
            )
        ) from exc


async def _check_migrations(config: Config) -> None:
    sentences = [
        _("{cause} {remedy}", cause=problem.sentence, remedy=problem.remedy)
        for problem in await database_problems(config)
    ]
    if sentences and config.ENV == "prod":
        raise MigrationError("\n".join(sentences))
    for sentence in sentences:
        logger.warning(sentence)


async def database_problems(config: Config, among: Container[str] | None = None) -> list[DatabaseProblem]:
    """The problems of the databases, which must be open, for all labels or those `among` them.

    This includes models of other services, because tables of this service refer to theirs.
    """
    known = Tortoise.apps if among is None else among
    shared = config.shared_labels()
    problems = [await _shared_problem(config, label, owner) for label, owner in shared.items() if label in known]
    problems += [await _problem(config, label) for label in migrated_apps(config) if label in known]
    return [problem for problem in problems if problem]


async def _shared_problem(config: Config, label: str, owner: str) -> DatabaseProblem | None:
    files = expected_migrations(config, label)
    apply = _run(f"sanicGuider migrate up {owner}")
    if missing := await missing_tables(Tortoise.apps[label].values()):
        init = _run(f"aerich init -t {owner}.config.migrate_db && aerich init-db")
        sentence = _(
            "The database has no table {tables}, which {owner} migrates.", tables=", ".join(missing), owner=owner
        )
        return DatabaseProblem(sentence, apply if files else init)
    if label != owner or config.tortoise()["apps"][label]["default_connection"] != "default":
        return None  # aerich records its migrations in the default database of the owner
    if dialect_mismatch(config, label):
        return None  # the owner reports it when it starts
    applied = await applied_migrations(label)
    pending = [name for name in files if name not in applied]
    return DatabaseProblem(_not_applied_message(label, pending), apply) if pending else None


def _not_applied_message(label: str, pending: Sequence[str]) -> str:
    return ngettext(
        "{count} migration of {label} is not applied ({names}).",
        "{count} migrations of {label} are not applied ({names}).",
        len(pending),
        count=len(pending),
        label=label,
        names=", ".join(pending),
    )


async def _problem(config: Config, label: str) -> DatabaseProblem | None:
    file = embedded_file(config.tortoise(), label)
    if files := expected_migrations(config, label):
        if not file and (foreign := dialect_mismatch(config, label)):
            return DatabaseProblem(foreign, await _init_remedy(config, label))
        applied = await applied_migrations(label)
        pending = [name for name in files if name not in applied]
        return await _pending(config, label, pending, file) if pending else None
    if not file and (missing := await missing_tables(_own_models(config, label))):  # the start creates embedded ones
        tables = ", ".join(missing)
        sentence = _("The database has no table {tables}, and {label} has no migrations.", tables=tables, label=label)
        return DatabaseProblem(sentence, await _init_remedy(config, label))
    if file and (columns := await missing_columns(config, label)):
        return DatabaseProblem(
            _(
                "The tables in the embedded database {file} do not have {columns}.",
                file=file,
                columns=", ".join(columns),
            ),
            _("Delete the file: the next start creates it from the models. Only migrations keep existing rows."),
        )
    return None


def _run(command: str) -> str:
    return _("Run: {command}", command=command)


async def _init_remedy(config: Config, label: str) -> str:
    return _run(f"{await aerich_command(config, label, has_migrations=False)} init-db")


async def _pending(config: Config, label: str, pending: list[str], file: Path | None) -> DatabaseProblem:
    sentence = _not_applied_message(label, pending)
    if file and not has_sqlite_migrations(config, label):
        init = f"sanicGuider migrate init {config.SERVER_NAME}"
        return DatabaseProblem(
            _(
                "{sentence} They are written for another database and cannot be applied to the embedded {file}.",
                sentence=sentence,
                file=file,
            ),
            _(
                "Delete the file: the next start creates it from the models. To have migrations for SQLite as well, "
                "run before that: {command}",
                command=init,
            ),
        )
    if foreign := _dialect_problem(config, label, pending):
        return foreign
    if await _needs_sanic_guider(config, label, pending):
        return DatabaseProblem(sentence, _run(f"sanicGuider migrate up {config.SERVER_NAME}"))
    return DatabaseProblem(sentence, _run(f"{await aerich_command(config, label)} upgrade"))


def _dialect_problem(config: Config, label: str, pending: list[str]) -> DatabaseProblem | None:
    """The problem of a pending migration that is written for another database than the applied ones."""
    dialect, folder = dialect_of_label(config, label), migrations_dir(config, label)
    make = f"sanicGuider migrate make {config.SERVER_NAME}"
    for name in pending:
        if (written := Migration(folder / name).dialect) not in (None, dialect):
            return DatabaseProblem(
                _(
                    "{migration} of {label} is not applied: it is written for {expected}, but {label} uses {actual}.",
                    migration=name,
                    label=label,
                    expected=DATABASE_NAMES[written],
                    actual=DATABASE_NAMES[dialect],
                ),
                _(
                    "Move it to {folder}, and create one for this database: {command}",
                    folder=Path("migrations", written, label),
                    command=make,
                ),
            )
    return None


async def _needs_sanic_guider(config: Config, label: str, pending: list[str]) -> bool:
    """Whether aerich would refuse a pending migration: it migrates data, or was interrupted."""
    folder = migrations_dir(config, label)
    if any(Migration(folder / name).migrates_data for name in pending):
        return True
    connection = config.tortoise()["apps"][label]["default_connection"]
    journal = Journal(get_connection(connection), label, dialect_of_label(config, label))
    with suppress(DatabaseError):  # the account may have no permission to read the journal
        steps = (await journal.read())[0]
        return bool(steps)
    return False


async def aerich_command(config: Config, label: str, *, has_migrations: bool = True) -> str:
    """The aerich command for the label, with the `aerich init` that it needs first.

    aerich uses the configuration that the last `aerich init` of the project named, and records the migrations of every
    database in a table of the default one. `has_migrations` says whether the label has migrations.
    """
    target, location = f"{config.SERVER_NAME}.config.migrate_db", _location(config, label)
    configured, folder = aerich_target(config)
    is_current = configured == target and Path(folder or "migrations") == Path(location)
    elsewhere = "" if Path(location) == Path("migrations") else f" --location {location}"
    init = "" if has_migrations and is_current else f"aerich init -t {target}{elsewhere} && "
    if label == config.SERVER_NAME:
        return f"{init}aerich"
    table = "" if await aerich_has_table() else "aerich init-db && "
    return f"{init}{table}aerich --app {label}"


def _location(config: Config, label: str) -> str:
    return f"./{dialect_folder(config, label).parent.relative_to(config.project_dir()).as_posix()}"


def _own_models(config: Config, label: str) -> list[type[Model]]:
    return [model for model in migrated_models(config) if model._meta.app == label and model is not Aerich]
