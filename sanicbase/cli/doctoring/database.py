"""Whether the databases can do what the service asks of them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connection

from sanicbase.cli.doctoring.finding import Finding, clock, drifted, of_error
from sanicbase.cli.doctoring.migrations import look_at_migrations
from sanicbase.cli.doctoring.privileges import missing_privileges
from sanicbase.config import Config
from sanicbase.db import Database
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.pending import lacking
from sanicbase.migrations.standing import migrating

__all__ = ["Facts", "judge", "look_at_databases"]

MEMORY = "sqlite://:memory:"

POSTGRES = """
SELECT current_setting('server_encoding') AS charset, current_setting('TimeZone') AS zone,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
       has_schema_privilege(current_schema(), 'CREATE') AS granted
"""
MYSQL = """
SELECT @@character_set_database AS charset, @@session.time_zone AS zone, UNIX_TIMESTAMP(NOW(6)) + 0e0 AS clock,
       @@max_connections AS connections, DATABASE() AS name
"""


@dataclass(frozen=True)
class Facts:
    """What a server says of itself."""

    charset: str
    zone: str
    drift: float
    """Seconds that its clock is ahead of ours."""
    connections: int
    pool: int
    """Connections that each process may open."""
    missing: tuple[str, ...]
    """What the account may not do, and migrations need."""


async def look_at_databases(
    config: Config, processes: int, now: Callable[[], float] = time.time
) -> AsyncIterator[Finding]:
    """Reach each database as the service does, and ask it.

    An embedded one that is not there yet is as it should be: the first start makes the file and its tables.
    """
    tortoise = config.tortoise()
    apps = tortoise["apps"]
    new = {label for label in apps if (file := embedded_file(tortoise, label)) and not file.exists()}
    missing = {apps[label]["default_connection"] for label in new}
    if missing == config.databases().keys():
        return
    opened = _in_memory(config, missing)
    try:
        async with Database(opened):
            for name in opened.databases():
                async for finding in _look_at(name, config, processes, now):
                    yield finding
            pending = [finding async for finding in _look_at_tables(opened, apps.keys() - new)]
        async with migrating(opened) as migrated:
            async for finding in _look_at_migrations(migrated, apps.keys() - new, pending):
                yield finding
    except SanicBaseError as exc:
        for finding in of_error("database.away", exc):
            yield finding


def _in_memory(config: Config, names: Set[str]) -> Config:
    """The same settings with these databases in memory, so that no file is made by looking."""
    named = {name: MEMORY if name in names else there for name, there in config.DB_CONNECTIONS.items()}
    default = MEMORY if "default" in names and "default" not in named else config.DB_URL
    return config.model_copy(update={"DB_URL": default, "DB_CONNECTIONS": named})


async def _look_at(name: str, config: Config, processes: int, now: Callable[[], float]) -> AsyncIterator[Finding]:
    try:
        facts = await _facts(get_connection(name), now)
    except DatabaseError as exc:
        yield _unreadable(exc)
        return
    for finding in judge(name, facts, config, processes) if facts else ():
        yield finding


async def _look_at_tables(config: Config, labels: Set[str]) -> AsyncIterator[Finding]:
    try:
        lacks = await lacking(config, labels)
    except DatabaseError as exc:
        yield _unreadable(exc)
        return
    for lack in lacks:
        sentence = _("The database does not match its migrations: {sentence}", sentence=lack.sentence)
        yield Finding("migrations.pending", "error", sentence, lack.remedy)


async def _look_at_migrations(config: Config, labels: Set[str], pending: Sequence[Finding]) -> AsyncIterator[Finding]:
    told = []
    try:
        async for finding in look_at_migrations(config, labels, pending):
            told.append(finding)
            yield finding
    except DatabaseError as exc:
        yield _unreadable(exc)
        for finding in pending:
            if finding not in told:
                yield finding


def judge(name: str, facts: Facts, config: Config, processes: int) -> Iterator[Finding]:
    """What is wrong with a server that says this of itself."""
    if facts.charset.lower() not in ("utf8", "utf8mb4") or facts.charset == "utf8":
        yield Finding(
            "database.charset",
            "error",
            _("The database {name} is in {charset}.", name=name, charset=facts.charset),
            _("Make it anew in UTF8 (PostgreSQL) or utf8mb4 (MySQL)."),
        )
    if facts.zone not in ("UTC", "+00:00", "Etc/UTC", "GMT"):
        yield Finding(
            "database.zone",
            "error",
            _("Sessions with {name} are in {zone}.", name=name, zone=facts.zone),
            _("Take away what sets the time zone."),
        )
    if facts.missing:
        listed = ", ".join(facts.missing)
        yield Finding(
            "database.privileges",
            "warning",
            _("The account may not {privileges} in {name}.", privileges=listed, name=name),
            _("GRANT {privileges}; migrations need it, unless an account of their own runs them.", privileges=listed),
        )
    yield from _connections(name, facts, config, processes)
    yield from clock(name, facts.drift)


def _connections(name: str, facts: Facts, config: Config, processes: int) -> Iterator[Finding]:
    wanted = facts.pool * processes
    if wanted > facts.connections:
        yield Finding(
            "database.connections",
            "warning",
            _(
                "{processes} processes may open {wanted} connections to {name}, which has {connections}.",
                processes=processes,
                wanted=wanted,
                name=name,
                connections=facts.connections,
            ),
            _("Lower {prefix}DB_POOL_SIZE or raise max_connections.", prefix=config.env_prefix()),
        )


def _unreadable(error: DatabaseError) -> Finding:
    return Finding(
        "database.unreadable",
        "error",
        _("It cannot be seen what the database has: {error}", error=error),
        _("Let the account SELECT from the service's tables."),
    )


async def _facts(client: BaseDBAsyncClient, now: Callable[[], float]) -> Facts | None:
    """What the server says; None for SQLite, which is a file."""
    if client.capabilities.dialect == "sqlite":
        return None
    postgres = client.capabilities.dialect == "postgres"
    rows, drift = await drifted(
        client.execute_query_dict(POSTGRES if postgres else MYSQL), lambda rows: float(rows[0]["clock"]), now
    )
    (row,) = rows
    missing = _ungranted(row) if postgres else missing_privileges(str(row["name"]), await _grants(client))
    pool = int(getattr(client, "pool_maxsize", 0))
    return Facts(str(row["charset"]), str(row["zone"]), drift, int(row["connections"]), pool, missing)


def _ungranted(row: Mapping[str, object]) -> tuple[str, ...]:
    return () if row["granted"] else ("CREATE",)


async def _grants(client: BaseDBAsyncClient) -> list[str]:
    return [str(line) for row in await client.execute_query_dict("SHOW GRANTS") for line in row.values()]
