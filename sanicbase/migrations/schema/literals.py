"""Values as SQL."""

from __future__ import annotations

import datetime
import decimal
import uuid

from sanicbase.db.engine.utc import to_utc
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.statements import Dialect

__all__ = ["literal", "quote_name", "quote_text"]


def quote_name(name: str, dialect: Dialect) -> str:
    """The quoted name of a table, a column or an index."""
    mark = "`" if dialect == "mysql" else '"'
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def quote_text(value: str, dialect: Dialect) -> str:
    """A string. Only MySQL treats backslashes specially."""
    if "\0" in value:
        raise MigrationError(
            _("{value!r} contains a NUL, which no database allows in a default or a comment. Remove it.", value=value)
        )
    if dialect == "mysql":
        value = value.replace("\\", "\\\\")
    return "'" + value.replace("'", "''") + "'"


def literal(value: object, dialect: Dialect) -> str:
    """The SQL literal of a value as a model writes it. Raises TypeError for a value without a literal."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).upper() if dialect == "postgres" else str(int(value))
        case decimal.Decimal() if dialect == "sqlite":  # SQLite has no exact decimals
            return quote_text(str(value), dialect)
        case int() | decimal.Decimal():
            return str(value)
        case float():
            return repr(value)
        case str():
            return quote_text(str(value), dialect)
        case bytes():
            return f"'\\x{value.hex()}'::bytea" if dialect == "postgres" else f"x'{value.hex()}'"
        case datetime.datetime() | datetime.date() | datetime.time():
            return quote_text(_moment(value, dialect), dialect)
        case uuid.UUID():
            return quote_text(str(value), dialect)
    raise TypeError(f"{type(value).__name__} has no literal in SQL.")


def _moment(value: datetime.datetime | datetime.date | datetime.time, dialect: Dialect) -> str:
    """As the database's driver writes it; PostgreSQL has time zones."""
    if isinstance(value, datetime.datetime | datetime.time) and dialect != "postgres":
        value = to_utc(value)
    if isinstance(value, datetime.datetime | datetime.time) and dialect == "mysql":
        value = value.replace(tzinfo=None)
    return value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
