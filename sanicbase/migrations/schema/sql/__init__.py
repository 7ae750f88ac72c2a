"""Generates the SQL of changes, with a writer for each kind of database."""

from __future__ import annotations

from sanicbase.migrations.schema.changes import Changes
from sanicbase.migrations.schema.sql.mysql import MySQLWriter
from sanicbase.migrations.schema.sql.postgres import PostgresWriter
from sanicbase.migrations.schema.sql.sqlite import SQLiteWriter
from sanicbase.migrations.schema.sql.writer import Writer
from sanicbase.migrations.statements import Dialect

__all__ = ["statements_of"]

WRITERS: dict[Dialect, type[Writer]] = {"postgres": PostgresWriter, "mysql": MySQLWriter, "sqlite": SQLiteWriter}


def statements_of(changes: Changes, dialect: Dialect, *, safe: bool = False, reverse: bool = False) -> list[str]:
    """The statements that make the changes, in order, without semicolons.

    `safe` skips existing tables. `reverse` fills a required column that is added again with the neutral value of its
    type, because its values are lost. Raises MigrationError for a change that no statement can make.
    """
    return list(WRITERS[dialect](safe=safe, reverse=reverse).script(changes))
