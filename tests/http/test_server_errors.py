"""Every error of a database server has its exception, its status and its place in the log, whatever the driver."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import asyncpg  # type: ignore[import-untyped]
import pytest
from asyncmy import errors as asyncmy_errors
from pymysql import err as pymysql_errors  # type: ignore[import-untyped]

from sanicbase.db.engine import translation
from sanicbase.db.engine.translation import mysql_error, postgres_error, sqlite_error
from sanicbase.db.errors import DatabaseError, DatabaseUnavailable
from sanicbase.http.errors.mapping import LogPolicy, log_policy, problem_of
from tests.db.server_errors import ERRORS, MYSQL, POSTGRES, SQLITE, ServerError


def postgres(one: ServerError) -> Exception:
    error: Exception = asyncpg.PostgresError.new({"C": one.code, "M": one.what, "S": "ERROR"})
    return error


def pymysql(one: ServerError) -> Exception:
    error: Exception = pymysql_errors.OperationalError(int(one.code), one.what)
    return error


def asyncmy(one: ServerError) -> Exception:
    error: Exception = asyncmy_errors.OperationalError(int(one.code), one.what)
    return error


def sqlite(one: ServerError) -> Exception:
    error = sqlite3.OperationalError(one.what)
    error.sqlite_errorcode = getattr(sqlite3, one.code)
    return error


MAKERS: dict[str, Callable[[ServerError], Exception]] = {
    "postgres": postgres,
    "pymysql": pymysql,
    "asyncmy": asyncmy,
    "sqlite": sqlite,
}
TRANSLATE = {"postgres": postgres_error, "pymysql": mysql_error, "asyncmy": mysql_error, "sqlite": sqlite_error}


def translated(one: ServerError) -> BaseException:
    raised = MAKERS[one.database](one)
    error = TRANSLATE[one.database](raised)
    assert error is not None
    error.__cause__ = raised
    return error


@pytest.mark.parametrize("one", ERRORS, ids=lambda one: f"{one.database}-{one.code}")
def test_each_error_has_its_verdict(one: ServerError) -> None:
    error = translated(one)
    problem, policy = problem_of(error), log_policy(error)
    if isinstance(one.verdict, str):
        assert type(error) is DatabaseUnavailable
        assert error.state == one.verdict
        assert policy is LogPolicy.NOTHING, "an outage has its own line"
    else:
        assert type(error) is one.verdict
        assert policy is (LogPolicy.TRACEBACK if one.verdict is DatabaseError else LogPolicy.LINE)
    passing = one.verdict is not DatabaseError
    assert problem.status == (503 if passing else 500)
    assert problem.headers.get("Retry-After") == ("1" if passing else None)


def test_drivers_know_the_errors_by_their_own_classes() -> None:
    assert type(MAKERS["postgres"](ServerError("postgres", "25006", "", "read_only"))) is (
        asyncpg.ReadOnlySQLTransactionError
    )
    for errors in (pymysql_errors, asyncmy_errors):
        for kind in ("OperationalError", "InternalError", "ProgrammingError", "NotSupportedError"):
            error = mysql_error(getattr(errors, kind)(1836, "Running in read-only mode"))
            assert isinstance(error, DatabaseUnavailable)
            assert error.state == "read_only"


def test_an_option_other_than_read_only_is_an_error_of_the_statement() -> None:
    error = mysql_error(pymysql_errors.OperationalError(1290, "running with the --secure-file-priv option"))
    assert type(error) is DatabaseError


def test_no_state_of_the_tables_is_left_untried() -> None:
    for table, tried in ((translation.SQLSTATES, POSTGRES), (translation.MYSQL_ERRORS, MYSQL)):
        assert set(table.values()) <= {verdict for _, verdict in tried.values()}
    assert set(translation.SQLITE_ERRORS.values()) <= {verdict for _, verdict in SQLITE.values()}
