"""Checks the databases: versions, privileges, settings, limits and clocks."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connection

from sanicbase.cli.checks.findings import Finding, clock_findings, findings_of_error, measure_drift
from sanicbase.cli.checks.migrations import check_migrations
from sanicbase.config import Config
from sanicbase.db import Database
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.pending import database_problems
from sanicbase.migrations.status import migration_databases

__all__ = ["Facts", "check_databases", "evaluate", "missing_privileges"]

NEEDED = {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"}

GRANT = re.compile(r"GRANT (?P<privileges>.+?) ON (?P<pattern>\*|`[^`]*`)\.\* TO ")
ROLE = re.compile(r"GRANT (?!.* ON )")
LETTER = re.compile(r"\\([%_])|([%_])|(.)", re.DOTALL)

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
    """What a server reports about itself."""

    charset: str
    zone: str
    drift: float
    """The seconds by which its clock is ahead of this machine's."""
    connections: int
    pool: int
    """The maximum number of connections of each process."""
    missing: tuple[str, ...]
    """The privileges that migrations need and the account does not have."""


async def check_databases(
    config: Config, processes: int, now: Callable[[], float] = time.time
) -> AsyncIterator[Finding]:
    """Connect to each database as the service does, and check it.

    A missing embedded database is no problem: the first start creates the file and its tables.
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
                async for finding in _check_database(name, config, processes, now):
                    yield finding
            pending = [finding async for finding in _check_tables(opened, apps.keys() - new)]
        async with migration_databases(opened) as migrated:
            async for finding in _check_migrations(migrated, apps.keys() - new, pending):
                yield finding
    except SanicBaseError as exc:
        for finding in findings_of_error("database.away", exc):
            yield finding


def _in_memory(config: Config, names: Set[str]) -> Config:
    """The same settings with these databases in memory, so that the check creates no file."""
    named = {name: MEMORY if name in names else url for name, url in config.DB_CONNECTIONS.items()}
    default = MEMORY if "default" in names and "default" not in named else config.DB_URL
    return config.model_copy(update={"DB_URL": default, "DB_CONNECTIONS": named})


async def _check_database(
    name: str, config: Config, processes: int, now: Callable[[], float]
) -> AsyncIterator[Finding]:
    try:
        facts = await _facts(get_connection(name), now)
    except DatabaseError as exc:
        yield _unreadable(exc)
        return
    for finding in evaluate(name, facts, config, processes) if facts else ():
        yield finding


async def _check_tables(config: Config, labels: Set[str]) -> AsyncIterator[Finding]:
    try:
        lacks = await database_problems(config, labels)
    except DatabaseError as exc:
        yield _unreadable(exc)
        return
    for lack in lacks:
        sentence = _("The database does not match its migrations: {sentence}", sentence=lack.sentence)
        yield Finding("migrations.pending", "error", sentence, lack.remedy)


async def _check_migrations(config: Config, labels: Set[str], pending: Sequence[Finding]) -> AsyncIterator[Finding]:
    yielded = []
    try:
        async for finding in check_migrations(config, labels, pending):
            yielded.append(finding)
            yield finding
    except DatabaseError as exc:
        yield _unreadable(exc)
        for finding in pending:
            if finding not in yielded:
                yield finding


def evaluate(name: str, facts: Facts, config: Config, processes: int) -> Iterator[Finding]:
    """The findings about a server from its facts."""
    if facts.charset.lower() not in ("utf8", "utf8mb4") or facts.charset == "utf8":
        yield Finding(
            "database.charset",
            "error",
            _("The character set of the database {name} is {charset}.", name=name, charset=facts.charset),
            _("Recreate it with UTF8 (PostgreSQL) or utf8mb4 (MySQL)."),
        )
    if facts.zone not in ("UTC", "+00:00", "Etc/UTC", "GMT"):
        yield Finding(
            "database.zone",
            "error",
            _("The time zone of sessions with {name} is {zone}.", name=name, zone=facts.zone),
            _("Remove the time zone setting."),
        )
    if facts.missing:
        listed = ", ".join(facts.missing)
        yield Finding(
            "database.privileges",
            "warning",
            _("The account lacks the privileges {privileges} in {name}.", privileges=listed, name=name),
            _("GRANT {privileges}. Migrations need it, unless they run with another account.", privileges=listed),
        )
    yield from _connections(name, facts, config, processes)
    yield from clock_findings(name, facts.drift)


def _connections(name: str, facts: Facts, config: Config, processes: int) -> Iterator[Finding]:
    needed_connections = facts.pool * processes
    if needed_connections > facts.connections:
        yield Finding(
            "database.connections",
            "warning",
            _(
                "{processes} processes may open {wanted} connections to {name}, which allows {connections}.",
                processes=processes,
                wanted=needed_connections,
                name=name,
                connections=facts.connections,
            ),
            _("Lower {prefix}DB_POOL_SIZE or raise max_connections.", prefix=config.env_prefix()),
        )


def _unreadable(error: DatabaseError) -> Finding:
    return Finding(
        "database.unreadable",
        "error",
        _("The tables of the database cannot be read: {error}", error=error),
        _("Grant the account SELECT on the service's tables."),
    )


async def _facts(client: BaseDBAsyncClient, now: Callable[[], float]) -> Facts | None:
    """The facts of a server; None for SQLite, which is a file."""
    if client.capabilities.dialect == "sqlite":
        return None
    postgres = client.capabilities.dialect == "postgres"
    rows, drift = await measure_drift(
        client.execute_query_dict(POSTGRES if postgres else MYSQL), lambda rows: float(rows[0]["clock"]), now
    )
    (row,) = rows
    missing = _missing_on_postgres(row) if postgres else missing_privileges(str(row["name"]), await _grants(client))
    pool = int(getattr(client, "pool_maxsize", 0))
    return Facts(str(row["charset"]), str(row["zone"]), drift, int(row["connections"]), pool, missing)


def _missing_on_postgres(row: Mapping[str, object]) -> tuple[str, ...]:
    return () if row["granted"] else ("CREATE",)


async def _grants(client: BaseDBAsyncClient) -> list[str]:
    return [str(line) for row in await client.execute_query_dict("SHOW GRANTS") for line in row.values()]


def missing_privileges(database: str, grants: Iterable[str]) -> tuple[str, ...]:
    """The privileges that migrations need and the grants do not include; none if a role is granted, whose privileges
    are unknown."""
    granted: set[str] = set()
    for line in grants:
        if ROLE.match(line):
            return ()
        match = GRANT.match(line)
        if match and _is_like(database, match["pattern"].strip("`")):
            granted |= {privilege.strip() for privilege in match["privileges"].upper().split(",")}
    return () if granted & {"ALL PRIVILEGES", "ALL"} else tuple(sorted(NEEDED - granted))


def _is_like(database: str, pattern: str) -> bool:
    """Whether the pattern of a grant matches the name: % and _ are wildcards unless a backslash precedes them."""
    return pattern == "*" or re.fullmatch(LETTER.sub(_translated, pattern), database) is not None


def _translated(match: re.Match[str]) -> str:
    if match[2]:
        return ".*" if match[2] == "%" else "."
    return re.escape(match[1] or match[3])
