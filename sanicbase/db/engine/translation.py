"""Translation of the drivers' exceptions to those of `sanicbase.db.errors`.

Each function takes an exception and returns the one to raise from it, or None for one that is not a database's, such as
a bug. A DatabaseError, which is for logs, has the driver's message; an InvalidValue, which clients see, does not.
"""

from __future__ import annotations

import re
import sqlite3

import asyncpg  # type: ignore[import-untyped]
from tortoise import Tortoise
from tortoise.backends.base.schema_generator import BaseSchemaGenerator

from sanicbase.db.errors import (
    DatabaseError,
    DatabaseTimeout,
    DatabaseUnavailable,
    DeadlockError,
    IntegrityError,
    SerializationError,
    State,
)
from sanicbase.db.keys import unique_keys
from sanicbase.errors import InvalidValue, SanicBaseError

__all__ = [
    "MYSQL_RECONNECTED",
    "SQLITE_REOPENED",
    "Translation",
    "is_missing_table",
    "mysql_error",
    "postgres_error",
    "sqlite_error",
]

Translation = type[DatabaseError] | State
"""The class of the translated error; a state means DatabaseUnavailable in that state."""

MESSAGES = {
    "too_long": "is too long",
    "out_of_range": "is out of range",
    "invalid_text": "has characters that cannot be stored",
    "invalid_datetime": "is not a date or time that can be stored",
    "invalid_value": "does not fit its column",
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html; two characters mean the whole class.
SQLSTATES: dict[str, Translation] = {
    "08": "away",  # of the connection
    "25006": "read_only",
    "25P03": DatabaseTimeout,  # idle_in_transaction_session_timeout
    "25P04": DatabaseTimeout,  # transaction_timeout
    "28": "refusing",  # the account or its password
    "3D000": "refusing",  # no such database
    "40001": SerializationError,
    "40003": "away",  # unknown whether the statement was completed
    "40P01": DeadlockError,
    "53": "exhausted",
    "53100": "full",
    "53300": "refusing",  # too many connections
    "55P03": DatabaseTimeout,  # lock_timeout, NOWAIT
    "57": "away",  # shutting down, crashed, starting up, idle for too long, dropped
    "57014": DatabaseTimeout,  # statement_timeout, pg_cancel_backend
    "58000": "exhausted",  # an error of the operating system
    "58030": "exhausted",  # an I/O error
    "72000": SerializationError,  # the snapshot is too old
}
SQLSTATE_VALUES = {
    "22001": "too_long",
    "22003": "out_of_range",
    "22008": "out_of_range",
    "22007": "invalid_datetime",
    "22021": "invalid_text",
    "22P05": "invalid_text",
}

# https://mariadb.com/kb/en/mariadb-error-code-reference/; 2000 and above are the client's own.
MYSQL_CLIENT = range(2000, 3000)
MYSQL_ERRORS: dict[int, Translation] = {
    **dict.fromkeys((1053, 1077, 1079, 1080), "away"),  # shutting down
    **dict.fromkeys((1152, 1158, 1159, 1160, 1161, 1184), "away"),  # the connection was lost
    **dict.fromkeys((1927, 3169, 4031), "away"),  # KILL; idle for too long
    1047: "away",  # a node of Galera that has lost the others
    1180: "away",  # unknown whether it was committed
    3100: "away",  # group replication has lost the others
    **dict.fromkeys((1040, 1203, 1226), "refusing"),  # too many connections; a limit of the account's
    **dict.fromkeys((1129, 1130), "refusing"),  # the client's host
    **dict.fromkeys((1044, 1045, 1698, 1820, 1862, 3118, 4151), "refusing"),  # the account or its password
    **dict.fromkeys((1046, 1049), "refusing"),  # no such database, or no longer
    1135: "refusing",  # no thread for a connection
    **dict.fromkeys((1036, 1792, 1836, 1874), "read_only"),  # 1290, too, by its text
    **dict.fromkeys((1021, 1026, 1114), "full"),
    **dict.fromkeys((1037, 1038, 1041), "exhausted"),  # memory
    **dict.fromkeys((1206, 1637), "exhausted"),  # locks, transactions
    **dict.fromkeys((1016, 1024, 1030, 1878), "exhausted"),  # files and storage engines
    1205: DatabaseTimeout,  # innodb_lock_wait_timeout
    1028: DatabaseTimeout,  # KILL QUERY while it sorts
    1317: DatabaseTimeout,  # KILL QUERY
    1969: DatabaseTimeout,  # MariaDB's max_statement_time
    3024: DatabaseTimeout,  # MySQL's max_execution_time
    3572: DatabaseTimeout,  # NOWAIT
    1020: SerializationError,  # the record has changed since the transaction's snapshot
    1412: SerializationError,  # so has the table
    3101: SerializationError,  # group replication
    1213: DeadlockError,
    1614: DeadlockError,
}
MYSQL_OPTION = 1290  # an option forbids the statement, --read-only or another one
# After these a new connection is opened: the server, or the session, will not work again.
MYSQL_RECONNECTED = {
    MYSQL_OPTION,
    *(code for code, translation in MYSQL_ERRORS.items() if translation in ("away", "refusing", "read_only")),
}
MYSQL_INTEGRITY = {1022, 1048, 1062, 1169, 1216, 1217, 1364, 1451, 1452, 1557, 1586, 1761, 1762, 3819, 4025}
MYSQL_VALUES = {
    1153: "too_long",  # of max_allowed_packet
    1406: "too_long",
    1264: "out_of_range",
    1690: "out_of_range",
    1265: "invalid_value",
    1292: "invalid_value",
    1411: "invalid_datetime",
    1300: "invalid_text",
    1366: "invalid_text",
    3140: "invalid_value",  # JSON
}
MYSQL_COLUMN = re.compile(r"for column (?:`[^`]*`\.`[^`]*`\.)?[`']([^`']+)[`'] at row \d+$")
MYSQL_DUPLICATE = re.compile(r".* for key '(?:[^']*\.)?([^'.]+)'$", re.DOTALL)  # MySQL 8 names the table, too
MYSQL_FOREIGN_KEY = re.compile(r"CONSTRAINT `([^`]+)` FOREIGN KEY \(([^)]+)\)")
MYSQL_NULL = re.compile(r"^(?:Column|Field) '([^']+)'")
MYSQL_CHECK = re.compile(r"(?i:constraint) [`']([^`']+)[`'] (?:failed|is violated)")

SQLITE_CONSTRAINT_DATATYPE = 3091  # not defined in Python yet
# https://www.sqlite.org/rescode.html; an extended code stands before the primary one in its last byte.
SQLITE_ERRORS: dict[int, Translation] = {
    sqlite3.SQLITE_BUSY_SNAPSHOT: SerializationError,
    sqlite3.SQLITE_LOCKED: SerializationError,
    sqlite3.SQLITE_BUSY: DatabaseTimeout,
    sqlite3.SQLITE_INTERRUPT: DatabaseTimeout,
    sqlite3.SQLITE_PROTOCOL: DatabaseTimeout,  # of the locks
    sqlite3.SQLITE_CANTOPEN: "away",
    sqlite3.SQLITE_PERM: "away",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_NOLFS: "full",  # the file system takes no larger file
    sqlite3.SQLITE_IOERR: "exhausted",
    sqlite3.SQLITE_NOMEM: "exhausted",
}
# After these the file is opened again: the connection has an outdated state, or another file than the path.
SQLITE_REOPENED = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}

POSTGRES_KEY = re.compile(r"\(([\w\", ]+)\)=\(")  # whatever the language around it


def postgres_error(error: BaseException) -> SanicBaseError | None:
    """The translation of asyncpg's exceptions, from the server and its own."""
    if isinstance(error, asyncpg.PostgresError):
        return _by_sqlstate(error)
    if isinstance(error, asyncpg.InternalClientError) and not isinstance(error, asyncpg.OutdatedSchemaCacheError):
        return DatabaseUnavailable(error)  # it has lost track of the protocol
    if isinstance(error, asyncpg.InterfaceError):
        return DatabaseUnavailable(error) if "closed" in str(error) else DatabaseError(error)
    return _python_error(error)


def mysql_error(error: BaseException) -> SanicBaseError | None:
    """The translation of exceptions of aiomysql (through PyMySQL) and asyncmy."""
    if not type(error).__module__.startswith(("pymysql.err", "asyncmy.errors")):
        return _python_error(error)
    code = mysql_code(error)
    text = str(error.args[-1]) if error.args else ""
    name = type(error).__name__
    if code in MYSQL_CLIENT or name == "InterfaceError" or "sequence number" in text:
        return DatabaseUnavailable(error)
    if translation := MYSQL_ERRORS.get(code):
        return _translated(error, translation)
    if code == MYSQL_OPTION and "read-only" in text:
        return _translated(error, "read_only")
    if code in MYSQL_VALUES or name == "DataError":
        column = match.group(1) if (match := MYSQL_COLUMN.search(text)) else ""
        return _invalid("invalid_datetime" if "date" in text[:24] else MYSQL_VALUES.get(code, "invalid_value"), column)
    if code in MYSQL_INTEGRITY or name == "IntegrityError":
        constraint, columns = _mysql_constraint(text)
        return IntegrityError(error, constraint=constraint, columns=columns)
    return DatabaseError(error)


def mysql_code(error: BaseException) -> int:
    """The number of a MySQL error, 0 when it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def sqlite_error(error: BaseException) -> SanicBaseError | None:
    """The translation of sqlite3's exceptions, and of aiosqlite's for a closed connection.

    A lock held longer than busy_timeout is a DatabaseTimeout; a snapshot that is too old to write is a
    SerializationError.
    """
    if isinstance(error, ValueError) and str(error) in ("Connection closed", "no active connection"):
        return DatabaseUnavailable(error)
    if not isinstance(error, sqlite3.Error):
        return _python_error(error)
    code = getattr(error, "sqlite_errorcode", 0)
    if code in (sqlite3.SQLITE_MISMATCH, SQLITE_CONSTRAINT_DATATYPE, sqlite3.SQLITE_TOOBIG):
        return _invalid("too_long" if code == sqlite3.SQLITE_TOOBIG else "invalid_value")
    primary = code & 0xFF  # the rest of an extended code tells details
    if translation := SQLITE_ERRORS.get(code) or SQLITE_ERRORS.get(primary):
        return _translated(error, translation)
    if primary == sqlite3.SQLITE_CONSTRAINT:
        constraint, columns = _sqlite_constraint(str(error))
        return IntegrityError(error, constraint=constraint, columns=columns)
    return DatabaseError(error)


def is_missing_table(error: BaseException) -> bool:
    """Whether a DatabaseError means a missing table, and not a missing permission."""
    cause = error.__cause__
    return (
        isinstance(cause, asyncpg.UndefinedTableError)
        or (isinstance(cause, sqlite3.OperationalError) and str(cause).startswith("no such table"))
        or (isinstance(cause, Exception) and mysql_code(cause) == 1146)
    )


def _translated(error: BaseException, translation: Translation) -> DatabaseError:
    return DatabaseUnavailable(error, state=translation) if isinstance(translation, str) else translation(error)


def _by_sqlstate(error: asyncpg.PostgresError) -> SanicBaseError:
    state = error.sqlstate or ""
    if translation := SQLSTATES.get(state) or SQLSTATES.get(state[:2]):
        return _translated(error, translation)
    if state.startswith("22"):
        # One that asyncpg itself finds, for which there is no form on the wire, is a DataError with a cause.
        return _invalid(SQLSTATE_VALUES.get(state) or _code_of(error.__cause__), error.column_name or "")
    if state.startswith("23"):
        columns = (error.column_name,) if error.column_name else _key_columns(error.detail or "")
        return IntegrityError(error, constraint=error.constraint_name or "", columns=columns)
    return DatabaseError(error)


def _key_columns(detail: str) -> tuple[str, ...]:
    """The columns in `Key (a, b)=(1, 2) already exists.`; none for an index on an expression."""
    match = POSTGRES_KEY.search(detail)
    return tuple(name.strip(' "') for name in match.group(1).split(",")) if match else ()


def _mysql_constraint(text: str) -> tuple[str, tuple[str, ...]]:
    if match := MYSQL_FOREIGN_KEY.search(text):
        return match.group(1), tuple(name.strip(" `") for name in match.group(2).split(","))
    if match := MYSQL_NULL.match(text):
        return "", (match.group(1),)
    if match := MYSQL_DUPLICATE.match(text):
        return match.group(1), _unique_columns(match.group(1))
    match = MYSQL_CHECK.search(text)
    return (match.group(1) if match else ""), ()


def _unique_columns(key: str) -> tuple[str, ...]:
    """The columns of a model's unique key by its name in Tortoise or MySQL."""
    for app in (Tortoise.apps or {}).values():  # None outside its context
        for model in app.values():
            for names in unique_keys(model):
                columns = [model._meta.fields_db_projection.get(name, name) for name in names]
                if columns == [key]:
                    return (key,)
                generator: BaseSchemaGenerator = BaseSchemaGenerator  # type: ignore[assignment]  # it asks for no object
                if BaseSchemaGenerator._get_index_name(generator, "uid", model, columns) == key:
                    return tuple(columns)
    return ()


def _sqlite_constraint(text: str) -> tuple[str, tuple[str, ...]]:
    kind, _, rest = text.partition(" constraint failed: ")
    if kind == "CHECK" or rest.startswith("index "):
        return rest.removeprefix("index ").strip("'"), ()
    return "", tuple(name.rpartition(".")[2] for name in rest.split(", ")) if rest else ()


def _python_error(error: BaseException) -> SanicBaseError | None:
    """The translation of Python's own exceptions, which every driver raises."""
    if isinstance(error, TimeoutError):  # before OSError, its base class
        return DatabaseTimeout("The database did not answer in time.")
    if isinstance(error, OSError | EOFError):
        return DatabaseUnavailable(f"{type(error).__name__}: {error}")
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return _invalid(_code_of(error))
    return None


def _code_of(error: BaseException | None) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "invalid_text"
    return "out_of_range" if isinstance(error, OverflowError) else "invalid_value"


def _invalid(code: str, column: str = "") -> InvalidValue:
    subject = f"The value of {column}" if column else "A value"
    return InvalidValue(f"{subject} {MESSAGES[code]}.", path=column, code=code)
