"""Where a service's databases are: URLs in, what Tortoise takes out. No connection is opened here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tortoise.backends.base.config_generator import expand_db_url

__all__ = [
    "EMBEDDED",
    "check_database",
    "check_replicas",
    "database",
    "hide_password",
]

EMBEDDED = "embedded://"

DATABASE_SCHEMES = {
    "sqlite": "sqlite",
    "postgres": "asyncpg",
    "postgresql": "asyncpg",
    "asyncpg": "asyncpg",
    "mysql": "mysql",
    "mariadb": "mysql",
    "embedded": "embedded",
}
MYSQL_ENGINES = ("tortoise.backends.mysql", "mysql")
SQLITE_ENGINES = ("tortoise.backends.sqlite", "sqlite")
POSTGRES_ENGINES = ("tortoise.backends.asyncpg", "asyncpg")
KINDS = {"SQLite": SQLITE_ENGINES, "PostgreSQL": POSTGRES_ENGINES, "MySQL or MariaDB": MYSQL_ENGINES}

# RFC 3986, appendix B, for a URL with an authority; urllib's refuses several hosts when a later one has brackets.
URL = re.compile(
    r"(?P<scheme>[^:/?#]+)://(?P<netloc>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.DOTALL
)
HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:]*)(:\d+)?")  # one of the list that a URL may have

FOUND_ROWS = 2  # MySQL counts an update's rows as the others do: those that were found, not those that differ

Connection = str | dict[str, Any]


def check_database(connection: Connection) -> Connection:
    """Return the connection unchanged when it can be understood; raise ValueError with a sentence otherwise."""
    if isinstance(connection, Mapping):
        if not isinstance(connection.get("engine"), str) or not isinstance(connection.get("credentials"), Mapping):
            raise ValueError("a connection is a URL, or {'engine': 'tortoise.backends.…', 'credentials': {…}}")
        return connection
    scheme = _scheme(connection, DATABASE_SCHEMES, "sqlite://file, postgres://… or mysql://…")
    if scheme != "embedded":
        _expand(connection)
    return connection


def check_replicas(databases: Mapping[str, Connection], replicas: Mapping[str, Sequence[Connection]]) -> None:
    """Raise ValueError with a sentence for a replica that cannot be one of its database."""
    for name, connections in replicas.items():
        if name not in databases:
            raise ValueError(f"DB_REPLICAS names the connection {name!r}, which DB_CONNECTIONS does not have")
        kind = _kind(databases[name])
        if kind is None and connections:
            raise ValueError(f"DB_REPLICAS: {name!r} cannot have replicas, only a {', '.join(KINDS)} can")
        for number, connection in enumerate(connections, 1):
            if _kind(connection) != kind:
                raise ValueError(f"DB_REPLICAS: replica {number} of {name!r} is not of the same kind, which is {kind}")


def database(
    connection: Connection,
    *,
    embedded_file: Path,
    relative_to: Path,
    driver: str,
    pool_size: int,
    timeout: float,
    acquire_timeout: float,
    statement_timeout: float | None,
) -> dict[str, Any]:
    """What Tortoise takes for one connection: `{"engine": …, "credentials": {…}}`.

    `embedded://` becomes the SQLite file `embedded_file`; a relative SQLite path starts at `relative_to`. What the
    URL's query or the credentials say goes before `pool_size` and the times, all in seconds: `timeout` to connect,
    `acquire_timeout` to wait for a connection, `statement_timeout` for an answer (None sets no limit).
    """
    limits: dict[str, Any] = {"acquire_timeout": acquire_timeout}
    if statement_timeout is not None:
        limits["statement_timeout"] = statement_timeout
    if connection == EMBEDDED:
        return {"engine": "sanicbase.db.engine.embedded", "credentials": {"file_path": str(embedded_file), **limits}}
    given = connection if isinstance(connection, Mapping) else _expand(str(connection))
    engine, credentials = given["engine"], dict(given["credentials"])
    if engine in MYSQL_ENGINES:
        engine = f"sanicbase.db.engine.{driver}"
        credentials = {
            "maxsize": pool_size,
            "connect_timeout": timeout,
            "client_flag": FOUND_ROWS,
            **limits,
            **credentials,
        }
    elif engine in POSTGRES_ENGINES:
        engine = "sanicbase.db.engine.postgres"
        credentials = {"maxsize": pool_size, "timeout": timeout, **limits, **credentials}
    elif engine in SQLITE_ENGINES:
        engine = "sanicbase.db.engine.sqlite"
        credentials = {**limits, **credentials}
        if (path := credentials.get("file_path")) and path != ":memory:":
            credentials["file_path"] = str(relative_to / path)
    return {"engine": engine, "credentials": credentials}


def hide_password(url: str) -> str:
    """The URL with `***` in place of its password and of every parameter, fit for logs and screens."""
    found = URL.fullmatch(url)
    if found is None:
        return "***"
    user, _, hosts = found["netloc"].rpartition("@")
    if "@" in found["path"] or not all(HOST.fullmatch(host) for host in hosts.split(",")):
        return "***"  # a / or another sign inside of the password may have ended it too early
    name, colon, _ = user.partition(":")
    user = f"{name}:***@" if colon else f"{name}@" if name else ""
    return f"{found['scheme']}://{user}{hosts}{found['path']}{'?***' if found['query'] else ''}"


def _kind(connection: Connection) -> str | None:
    """Which database it is; None for the embedded one, and for engines that are not ours."""
    if isinstance(connection, Mapping):
        return next((kind for kind, engines in KINDS.items() if connection["engine"] in engines), None)
    return next(
        (kind for kind, engines in KINDS.items() if DATABASE_SCHEMES[connection.split("://")[0]] in engines), None
    )


def _scheme(url: str, known: Mapping[str, str], examples: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise ValueError(f"it is not a URL; write {examples}")
    if scheme not in known:
        raise ValueError(f"the scheme {scheme!r} is not known; write {examples}")
    return known[scheme]


def _expand(url: str) -> dict[str, Any]:
    scheme, rest = url.split("://", 1)
    try:
        return expand_db_url(f"{DATABASE_SCHEMES[scheme]}://{rest}")
    except Exception as exc:  # Tortoise and urllib raise several kinds, and their texts may quote the password
        raise ValueError("it could not be read as scheme://user:password@host:port/database") from exc
