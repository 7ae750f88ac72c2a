"""Whether the databases are at the version of the models. Nothing is ever applied here."""

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

REBUILD = "Delete the file: the next start builds it from the models."


@dataclass(frozen=True)
class DatabaseProblem:
    """What a database lacks, and what to do about it."""

    sentence: str
    remedy: str


async def prepare_tables(config: Config) -> None:
    """Make the tables of embedded databases, and look at the migrations of all, which are open.

    Warns in dev and test, and raises MigrationError in prod, when a database lacks a migration or its tables. Raises
    ResourceError when the account may not read them.
    """
    try:
        await create_embedded_tables(config)
        await _check_migrations(config)
    except DatabaseError as exc:
        raise ResourceError(
            f"The tables of {config.SERVER_NAME} cannot be looked at: {reason(exc)}. Let the account in "
            f"{config.env_prefix()}DB_URL read them."
        ) from exc


async def _check_migrations(config: Config) -> None:
    sentences = [f"{problem.sentence} {problem.remedy}" for problem in await database_problems(config)]
    if sentences and config.ENV == "prod":
        raise MigrationError("\n".join(sentences))
    for sentence in sentences:
        logger.warning(sentence)


async def database_problems(config: Config, among: Container[str] | None = None) -> list[DatabaseProblem]:
    """What each label's database, which is open, lacks of its migrations or its tables; of all labels, or those.

    Models of other services are looked at as well: their tables are what this service's refer to.
    """
    known = Tortoise.apps if among is None else among
    shared = config.shared_labels()
    problems = [await _shared_problem(config, label, owner) for label, owner in shared.items() if label in known]
    problems += [await _problem(config, label) for label in migrated_apps(config) if label in known]
    return [problem for problem in problems if problem]


async def _shared_problem(config: Config, label: str, owner: str) -> DatabaseProblem | None:
    files = expected_migrations(config, label)
    up = f"Run: sanicGuider migrate up {owner}"
    if missing := await missing_tables(Tortoise.apps[label].values()):
        first = f"Run: aerich init -t {owner}.config.migrate_db && aerich init-db"
        return DatabaseProblem(
            f"The database has no table {', '.join(missing)}, which {owner} migrates.", up if files else first
        )
    if label != owner or config.tortoise()["apps"][label]["default_connection"] != "default":
        return None  # aerich's notes about it are in the owner's default database
    if dialect_mismatch(config, label):
        return None  # its owner's start tells of it
    applied = await applied_migrations(label)
    pending = [name for name in files if name not in applied]
    return DatabaseProblem(_not_applied_message(label, pending), up) if pending else None


def _not_applied_message(label: str, pending: Sequence[str]) -> str:
    return f"{len(pending)} migration{'s' * (len(pending) > 1)} of {label} not applied ({', '.join(pending)})."


async def _problem(config: Config, label: str) -> DatabaseProblem | None:
    file = embedded_file(config.tortoise(), label)
    if files := expected_migrations(config, label):
        if not file and (foreign := dialect_mismatch(config, label)):
            return DatabaseProblem(foreign, f"Run: {await aerich_command(config, label, has_migrations=False)} init-db")
        applied = await applied_migrations(label)
        pending = [name for name in files if name not in applied]
        return await _pending(config, label, pending, file) if pending else None
    if not file and (
        missing := await missing_tables(_own_models(config, label))
    ):  # an embedded one is given them at the start
        return DatabaseProblem(
            f"The database has no table {', '.join(missing)}, and {label} has no migrations.",
            f"Run: {await aerich_command(config, label, has_migrations=False)} init-db",
        )
    if file and (columns := await missing_columns(config, label)):
        return DatabaseProblem(
            f"The tables in the embedded database {file} were made without {', '.join(columns)}.",
            f"{REBUILD} Rows survive a change of the models only with migrations.",
        )
    return None


async def _pending(config: Config, label: str, pending: list[str], file: Path | None) -> DatabaseProblem:
    names = _not_applied_message(label, pending)
    if file and not has_sqlite_migrations(config, label):
        return DatabaseProblem(
            f"{names} Written for another database, they cannot be applied to the embedded {file}.",
            f"{REBUILD} To have migrations for SQLite as well, run before it: sanicGuider migrate init "
            f"{config.SERVER_NAME}",
        )
    if foreign := _dialect_problem(config, label, pending):
        return foreign
    if await _needs_sanic_guider(config, label, pending):
        return DatabaseProblem(names, f"Run: sanicGuider migrate up {config.SERVER_NAME}")
    return DatabaseProblem(names, f"Run: {await aerich_command(config, label)} upgrade")


def _dialect_problem(config: Config, label: str, pending: list[str]) -> DatabaseProblem | None:
    """What to do about one that is written for another database than those before it."""
    dialect, folder = dialect_of_label(config, label), migrations_dir(config, label)
    for name in pending:
        if (written := Migration(folder / name).dialect) not in (None, dialect):
            return DatabaseProblem(
                f"{name} of {label} is not applied: it is written for {DATABASE_NAMES[written]}, and {label} is on "
                f"{DATABASE_NAMES[dialect]}.",
                f"Move it to migrations/{written}/{label} and make one for this database: sanicGuider migrate make "
                f"{config.SERVER_NAME}",
            )
    return None


async def _needs_sanic_guider(config: Config, label: str, pending: list[str]) -> bool:
    """Whether aerich would refuse one of them: it migrates rows, or is half-way."""
    folder = migrations_dir(config, label)
    if any(Migration(folder / name).migrates_data for name in pending):
        return True
    connection = config.tortoise()["apps"][label]["default_connection"]
    journal = Journal(get_connection(connection), label, dialect_of_label(config, label))
    with suppress(DatabaseError):  # of an account that may not read it
        steps, _ = await journal.read()
        return bool(steps)
    return False


async def aerich_command(config: Config, label: str, *, has_migrations: bool = True) -> str:
    """How aerich is called for the label: it follows the service that the project's last `aerich init` has named.

    What it did to any database it notes in a table of the default one. `begun` says whether there are migrations.
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
