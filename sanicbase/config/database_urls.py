"""Database URLs, and the connections that Tortoise needs for them. Nothing is connected here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from ssl import SSLContext
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tortoise.backends.base.config_generator import expand_db_url

from sanicbase.config.database_options import (
    DRIVER_OPTIONS,
    MYSQL_OPTIONS,
    POSTGRES_OPTIONS,
    read_options,
    sqlite_options,
)
from sanicbase.config.tls import TLS, is_tls_option, read_tls
from sanicbase.i18n import gettext as _
from sanicbase.i18n import gettext_noop

__all__ = [
    "EMBEDDED",
    "check_database",
    "check_driver",
    "check_replicas",
    "embedded_name",
    "hide_password",
    "tortoise_connection",
]

EMBEDDED = "embedded://"
CREDENTIALS = "{'engine': 'tortoise.backends.…', 'credentials': {…}}"
EXAMPLES = gettext_noop("sqlite://file, postgres://… or mysql://…")

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
SQLITE, POSTGRES, MYSQL = "SQLite", "PostgreSQL", gettext_noop("MySQL or MariaDB")
KINDS = {SQLITE: SQLITE_ENGINES, POSTGRES: POSTGRES_ENGINES, MYSQL: MYSQL_ENGINES}

# RFC 3986, appendix B, for a URL with an authority; urllib's refuses several hosts when a later one has brackets.
URL = re.compile(
    r"(?P<scheme>[^:/?#]+)://(?P<netloc>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.DOTALL
)
HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:]*)(:\d+)?")  # one of the list that a URL may have

QUERY = re.compile(r"[?#].*", re.DOTALL)
IDENTITY = ("host", "port", "user", "password")  # options that Tortoise reads when the URL lacks these parts

FOUND_ROWS = 2  # MySQL counts the rows that an update matches, as the other databases do, not those it changes

Connection = str | dict[str, Any]


def check_database(connection: Connection) -> Connection:
    """Return the connection unchanged when it is valid; raise ValueError otherwise."""
    if isinstance(connection, Mapping):
        if not isinstance(connection.get("engine"), str) or not isinstance(connection.get("credentials"), Mapping):
            raise ValueError(_("a connection is a URL, or {example}", example=CREDENTIALS))
        _with_tls(connection)
        return connection
    scheme = _scheme(connection)
    if scheme == "embedded":
        if not re.fullmatch(r"[a-z_][a-z0-9_]*|", embedded_name(connection) or ""):
            raise ValueError(
                _("{url} takes neither a path nor options; write it alone, or with a service's name", url=EMBEDDED)
            )
    else:
        _expand(connection)
    return connection


def embedded_name(connection: Connection) -> str | None:
    """The owner of an embedded SQLite: `shop` for `embedded://shop`, empty for the service itself; None for others."""
    if isinstance(connection, str) and connection.startswith(EMBEDDED):
        return connection.removeprefix(EMBEDDED)
    return None


def check_driver(
    databases: Mapping[str, Connection], replicas: Mapping[str, Sequence[Connection]], driver: str
) -> None:
    """Raise ValueError for a URL that has an option of MySQL's other driver."""
    named = [
        *databases.items(),
        *((name, replica) for name, connections in replicas.items() for replica in connections),
    ]
    for name, connection in named:
        if isinstance(connection, Mapping) or _kind(connection) != MYSQL:
            continue
        for other, options in DRIVER_OPTIONS.items():
            if other != driver and (unknown := options.keys() & _query(connection)):
                raise ValueError(
                    _(
                        "the URL of {name!r} has the option {option!r}, which {driver} does not know; remove it, or "
                        "set DB_DRIVER to {other}",
                        name=name,
                        option=min(unknown),
                        driver=driver,
                        other=other,
                    )
                )


def check_replicas(databases: Mapping[str, Connection], replicas: Mapping[str, Sequence[Connection]]) -> None:
    """Raise ValueError for a replica of an unknown database, or of another kind of database."""
    for name, connections in replicas.items():
        if name not in databases:
            raise ValueError(
                _("DB_REPLICAS names the connection {name!r}, which DB_CONNECTIONS does not have", name=name)
            )
        if not connections:
            continue
        if (kind := _kind(databases[name])) is None:
            raise ValueError(
                _(
                    "DB_REPLICAS: {name!r} cannot have replicas, only these databases can: {kinds}",
                    name=name,
                    kinds=", ".join(map(_, KINDS)),
                )
            )
        for number, connection in enumerate(connections, 1):
            if _kind(connection) != kind:
                raise ValueError(
                    _(
                        "DB_REPLICAS: replica {number} of {name!r} is not of the same type, which is {kind}",
                        number=number,
                        name=name,
                        kind=_(kind),
                    )
                )


def tortoise_connection(
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
    """One connection as Tortoise needs it: `{"engine": …, "credentials": {…}}`.

    `embedded://`, with a name or without, becomes the SQLite file `embedded_file`; a relative SQLite path starts at
    `relative_to`. Options of the URL or the credentials take precedence over `pool_size` and the times, all in seconds:
    `timeout` to connect, `acquire_timeout` to wait for a connection, `statement_timeout` for an answer (None sets no
    limit). The TLS options become `ssl`, a `TLS` that our engines use; without such options it is absent.
    """
    limits: dict[str, Any] = {"acquire_timeout": acquire_timeout}
    if statement_timeout is not None:
        limits["statement_timeout"] = statement_timeout
    if embedded_name(connection) is not None:
        return {"engine": "sanicbase.db.engine.embedded", "credentials": {"file_path": str(embedded_file), **limits}}
    given = _with_tls(connection) if isinstance(connection, Mapping) else _expand(str(connection))
    engine, credentials = given["engine"], dict(given["credentials"])
    if isinstance(tls := credentials.get("ssl"), TLS):
        credentials["ssl"] = tls.relative_to(relative_to)
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
    """The URL with `***` instead of its password and of all parameters, for logs and screens."""
    match = URL.fullmatch(url)
    if match is None:
        return "***"
    user, _, hosts = match["netloc"].rpartition("@")
    if "@" in match["path"] or not all(HOST.fullmatch(host) for host in hosts.split(",")):
        return "***"  # an unescaped / or similar in the password may have ended it too early
    name, colon, _ = user.partition(":")
    user = f"{name}:***@" if colon else f"{name}@" if name else ""
    return f"{match['scheme']}://{user}{hosts}{match['path']}{'?***' if match['query'] else ''}"


def _kind(connection: Connection) -> str | None:
    """The kind of database; None for the embedded one, and for other engines."""
    if isinstance(connection, Mapping):
        return next((kind for kind, engines in KINDS.items() if connection["engine"] in engines), None)
    return next(
        (kind for kind, engines in KINDS.items() if DATABASE_SCHEMES[connection.split("://")[0]] in engines), None
    )


def _scheme(url: str) -> str:
    scheme = url.split("://", 1)[0]
    if scheme == url:
        raise ValueError(_("it is not a URL; write {examples}", examples=_(EXAMPLES)))
    if scheme not in DATABASE_SCHEMES:
        raise ValueError(_("the scheme {scheme!r} is not known; write {examples}", scheme=scheme, examples=_(EXAMPLES)))
    return DATABASE_SCHEMES[scheme]


def _expand(url: str) -> dict[str, Any]:
    """Tortoise's form of the URL. The options are parsed here, because Tortoise reads `ssl=false` as true, and passes
    unknown options to the driver."""
    scheme, rest = url.split("://", 1)
    options = _query(url)
    identity = urlencode({name: value for name, value in options.items() if name in IDENTITY})
    try:
        expanded = expand_db_url(f"{DATABASE_SCHEMES[scheme]}://{QUERY.sub('', rest, count=1)}?{identity}")
    except Exception as exc:  # Tortoise and urllib raise several types, whose messages may quote the password
        raise ValueError(_("it could not be read as scheme://user:password@host:port/database")) from exc
    kind = next(kind for kind, engines in KINDS.items() if expanded["engine"] in engines)
    try:
        read = _read_options(kind, options)
    except ValueError:
        if "@" not in url.partition("?")[2]:
            raise
        # The apparent option may be part of the password, which no message may quote.
        raise ValueError(_("one of its options cannot be used; in a password write ? as %3F and # as %23")) from None
    expanded["credentials"] |= {name: value for name, value in read.items() if name not in IDENTITY}
    return expanded


def _read_options(kind: str, options: dict[str, str]) -> dict[str, Any]:
    if kind == SQLITE:
        return read_options(options, sqlite_options(), kind)
    plain = {name: value for name, value in options.items() if not is_tls_option(name)}
    known = POSTGRES_OPTIONS
    if kind == MYSQL:
        known = MYSQL_OPTIONS | {name: read for extra in DRIVER_OPTIONS.values() for name, read in extra.items()}
    read, tls = read_options(plain, known, kind), read_tls(options)
    return read if tls is None else read | {"ssl": tls}


def _with_tls(connection: Mapping[str, Any]) -> dict[str, Any]:
    """The connection with the TLS options of its credentials replaced by one `TLS`; an SSLContext stays unchanged."""
    given = dict(connection["credentials"])
    if connection["engine"] not in (*MYSQL_ENGINES, *POSTGRES_ENGINES) or isinstance(
        given.get("ssl"), SSLContext | TLS
    ):
        return {"engine": connection["engine"], "credentials": given}
    credentials = {name: value for name, value in given.items() if not is_tls_option(name)}
    options = {name: value for name, value in given.items() if is_tls_option(name) and value is not None}
    if isinstance(files := options.get("ssl"), Mapping):  # asyncmy's and PyMySQL's {"ca": …, "check_hostname": …}
        del options["ssl"]
        options |= {f"ssl_{name}": value for name, value in files.items()}
    if tls := read_tls(options):
        credentials["ssl"] = tls
    return {"engine": connection["engine"], "credentials": credentials}


def _query(url: str) -> dict[str, str]:
    match = URL.fullmatch(url)
    return dict(parse_qsl((match and match["query"]) or "", keep_blank_values=True))
