"""The words of servers that are not at hand, and errors that cannot be provoked."""

from __future__ import annotations

import asyncio
import sqlite3
from types import ModuleType

import asyncpg  # type: ignore[import-untyped]
import pytest
from asyncmy import errors as asyncmy_errors
from pymysql import err as pymysql_errors  # type: ignore[import-untyped]

from sanicbase.db.engine.translation import mysql_error, postgres_error, sqlite_error
from sanicbase.db.errors import (
    DatabaseError,
    DatabaseTimeout,
    DatabaseUnavailable,
    DeadlockError,
    IntegrityError,
    SerializationError,
)
from sanicbase.errors import InvalidValue


@pytest.mark.parametrize("errors", [pymysql_errors, asyncmy_errors], ids=["pymysql", "asyncmy"])
@pytest.mark.parametrize(
    ("kind", "args", "expected"),
    [
        ("OperationalError", (2003, "Can't connect"), DatabaseUnavailable),
        ("OperationalError", (2006, "MySQL server has gone away"), DatabaseUnavailable),
        ("OperationalError", (2013, "Lost connection"), DatabaseUnavailable),
        ("OperationalError", (1040, "Too many connections"), DatabaseUnavailable),
        ("OperationalError", (1053, "Server shutdown in progress"), DatabaseUnavailable),
        ("OperationalError", (1927, "Connection was killed"), DatabaseUnavailable),
        ("OperationalError", (4031, "The client was disconnected because of inactivity"), DatabaseUnavailable),
        ("InterfaceError", ("Cancelled during execution",), DatabaseUnavailable),
        ("InternalError", ("Packet sequence number wrong - got 3 expected 1",), DatabaseUnavailable),
        ("OperationalError", (3024, "Query execution was interrupted"), DatabaseTimeout),
        ("OperationalError", (1205, "Lock wait timeout exceeded"), DatabaseTimeout),
        ("OperationalError", (1213, "Deadlock found"), DeadlockError),
        ("OperationalError", (1020, "Record has changed since last read"), SerializationError),
        ("ProgrammingError", (1146, "Table 'a.b' doesn't exist"), DatabaseError),
        ("OperationalError", (1142, "SELECT command denied"), DatabaseError),
        ("DataError", (1264, "Out of range value for column 'n' at row 1"), InvalidValue),
    ],
)
def test_each_number_of_mysql_has_its_kind(
    errors: ModuleType, kind: str, args: tuple[object, ...], expected: type[Exception]
) -> None:
    assert type(mysql_error(getattr(errors, kind)(*args))) is expected


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ("Duplicate entry 'a' for key 'slug'", "slug"),
        ("Duplicate entry 'a' for key 'article.slug'", "slug"),  # MySQL 8
        ("Duplicate entry 'it for key 'x'' for key 'slug'", "slug"),
        ("Duplicate entry 'two\nlines' for key 'PRIMARY'", "PRIMARY"),
        ("CONSTRAINT `positive` failed for `shop`.`article`", "positive"),
        ("Check constraint 'positive' is violated.", "positive"),  # MySQL 8
    ],
)
def test_key_is_found_whatever_the_value(text: str, constraint: str) -> None:
    error = mysql_error(pymysql_errors.IntegrityError(1062, text))
    assert isinstance(error, IntegrityError)
    assert (error.constraint, error.columns) == (constraint, ())


def test_foreign_key_of_mysql_names_its_columns() -> None:
    text = (
        "Cannot add or update a child row: a foreign key constraint fails (`shop`.`line`, CONSTRAINT `fk_line` "
        "FOREIGN KEY (`order_id`, `kind`) REFERENCES `order` (`id`, `kind`))"
    )
    error = mysql_error(pymysql_errors.IntegrityError(1452, text))
    assert isinstance(error, IntegrityError)
    assert (error.constraint, error.columns) == ("fk_line", ("order_id", "kind"))


@pytest.mark.parametrize(
    ("detail", "columns"),
    [
        ("Key (a, b)=(1, 2) already exists.", ("a", "b")),
        ('Key ("Odd")=((x)=(y)) already exists.', ("Odd",)),
        ("Schlüssel »(slug)=(a)« existiert bereits.", ("slug",)),
        ("Key (lower(slug::text))=(a) already exists.", ()),
        ("", ()),
    ],
)
def test_columns_are_found_in_any_language(detail: str, columns: tuple[str, ...]) -> None:
    raised = asyncpg.UniqueViolationError("duplicate key")
    raised.detail, raised.constraint_name = detail, "c"
    error = postgres_error(raised)
    assert isinstance(error, IntegrityError)
    assert (error.constraint, error.columns) == ("c", columns)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.ConnectionDoesNotExistError("x"), DatabaseUnavailable),
        (asyncpg.CannotConnectNowError("x"), DatabaseUnavailable),
        (asyncpg.AdminShutdownError("x"), DatabaseUnavailable),
        (asyncpg.TooManyConnectionsError("x"), DatabaseUnavailable),
        (asyncpg.InternalClientError("x"), DatabaseUnavailable),
        (asyncpg.InterfaceError("connection is closed"), DatabaseUnavailable),
        (asyncpg.InterfaceError("another operation is in progress"), DatabaseError),
        (asyncpg.QueryCanceledError("x"), DatabaseTimeout),
        (asyncpg.LockNotAvailableError("x"), DatabaseTimeout),
        (asyncpg.SerializationError("x"), SerializationError),
        (asyncpg.DeadlockDetectedError("x"), DeadlockError),
        (asyncpg.NumericValueOutOfRangeError("x"), InvalidValue),
        (asyncpg.UndefinedTableError("x"), DatabaseError),
        (asyncpg.InsufficientPrivilegeError("x"), DatabaseError),
        (ConnectionRefusedError("x"), DatabaseUnavailable),
        (OSError("name or service not known"), DatabaseUnavailable),
        (TimeoutError(), DatabaseTimeout),
        (asyncio.IncompleteReadError(b"", 4), DatabaseUnavailable),
    ],
    ids=repr,
)
def test_each_error_of_asyncpg_has_its_kind(error: Exception, expected: type[Exception]) -> None:
    assert type(postgres_error(error)) is expected


@pytest.mark.parametrize("translate", [postgres_error, mysql_error, sqlite_error])
@pytest.mark.parametrize(
    "error", [KeyError("x"), TypeError("x"), asyncio.CancelledError(), RuntimeError("x")], ids=repr
)
def test_programming_errors_are_not_translated(translate: object, error: BaseException) -> None:
    assert callable(translate)
    assert translate(error) is None


def test_sqlite_says_what_failed() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, n INT CONSTRAINT small CHECK (n < 9))")
    connection.execute("CREATE UNIQUE INDEX lower_b ON t (lower(b))")
    connection.execute("INSERT INTO t VALUES (1, 'x', 1)")
    for statement, constraint, columns in (
        ("INSERT INTO t VALUES (1, 'y', 1)", "", ("a",)),
        ("INSERT INTO t VALUES (2, 'X', 1)", "lower_b", ()),
        ("INSERT INTO t VALUES (3, 'z', 10)", "small", ()),
    ):
        with pytest.raises(sqlite3.IntegrityError) as excinfo:
            connection.execute(statement)
        error = sqlite_error(excinfo.value)
        assert isinstance(error, IntegrityError)
        assert (error.constraint, error.columns) == (constraint, columns)
    connection.close()
