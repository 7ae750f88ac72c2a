"""The options of a database URL: those of Tortoise, of the driver, and of sanicbase."""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cache
from typing import Any

from sanicbase.config.tls import TLS_OPTIONS, read_bool
from sanicbase.i18n import gettext as _

__all__ = ["DRIVER_OPTIONS", "MYSQL_OPTIONS", "POSTGRES_OPTIONS", "read_options", "sqlite_options"]

Read = Callable[[str, str], Any]


def _text(name: str, value: str) -> str:
    return value


def _integer(name: str, value: str) -> int:
    if not value.isdecimal():
        raise ValueError(_("{name} is not an integer", name=name))
    return int(value)


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(_("{name} is not a number", name=name)) from None


# `idle_timeout`, `acquire_timeout` and `statement_timeout` are sanicbase's, see sanicbase/db/engine/timeouts.py.
LIMITS: dict[str, Read] = {"acquire_timeout": _number, "idle_timeout": _number, "statement_timeout": _number}
SERVER: dict[str, Read] = {
    **LIMITS,
    "host": _text,
    "port": _integer,
    "user": _text,
    "password": _text,
    "minsize": _integer,
    "maxsize": _integer,
    "fetch_inserted": read_bool,
}
POSTGRES_OPTIONS: dict[str, Read] = {
    **SERVER,
    "application_name": _text,
    "command_timeout": _number,
    "direct_tls": read_bool,
    "gsslib": _text,
    "krbsrvname": _text,
    "max_cacheable_statement_size": _integer,
    "max_cached_statement_lifetime": _integer,
    "max_inactive_connection_lifetime": _number,
    "max_queries": _integer,
    "max_size": _integer,
    "min_size": _integer,
    "passfile": _text,
    "schema": _text,
    "service": _text,
    "servicefile": _text,
    "statement_cache_size": _integer,
    "target_session_attrs": _text,
    "timeout": _number,
}
MYSQL_OPTIONS: dict[str, Read] = {
    **SERVER,
    "autocommit": read_bool,  # Tortoise sets it itself
    "charset": _text,
    "connect_timeout": _number,
    "echo": read_bool,
    "init_command": _text,
    "local_infile": read_bool,
    "pool_recycle": _number,
    "program_name": _text,
    "read_default_file": _text,
    "read_default_group": _text,
    "server_public_key": _text,
    "sql_mode": _text,
    "storage_engine": _text,
    "unix_socket": _text,
    "use_unicode": read_bool,
}
DRIVER_OPTIONS: dict[str, dict[str, Read]] = {
    "aiomysql": {"auth_plugin": _text},
    "asyncmy": {
        "binary_prefix": read_bool,
        "max_allowed_packet": _integer,
        "read_timeout": _number,
        "stmt_cache_size": _integer,
    },
}


def read_options(query: Mapping[str, str], known: Mapping[str, Read], database: str) -> dict[str, Any]:
    """Parse the options. Raises ValueError for an option that the database does not have, and for an invalid value."""
    options = {}
    for name, value in query.items():
        if (read := known.get(name)) is None:
            raise ValueError(_unknown(name, database, known))
        options[name] = read(name, value)
    return options


def _unknown(name: str, database: str, known: Mapping[str, Read]) -> str:
    near = difflib.get_close_matches(name, [*known, *(TLS_OPTIONS if database != "SQLite" else ())], n=1)
    if not near:
        return _("the option {name!r} is not known for {database}; remove it", name=name, database=_(database))
    return _(
        "the option {name!r} is not known for {database}; write {near!r}, or remove it",
        name=name,
        database=_(database),
        near=near[0],
    )


@cache
def sqlite_options() -> dict[str, Read]:
    """The options of SQLite, with pragmas: Tortoise passes any option as a pragma, and SQLite ignores unknown ones."""
    with closing(sqlite3.connect(":memory:")) as connection:
        pragmas = [str(name) for (name,) in connection.execute("PRAGMA pragma_list")]
    return {
        **dict.fromkeys(pragmas, _text),
        **LIMITS,
        "fetch_inserted": read_bool,
        "install_regexp_functions": read_bool,
    }
