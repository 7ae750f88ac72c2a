"""MySQL and MariaDB: each statement changes one table and commits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from sanicbase.migrations.schema.changes import TableChange, has_index
from sanicbase.migrations.schema.sql.writer import ServerWriter
from sanicbase.migrations.schema.tables import Column, Index, Table
from sanicbase.migrations.statements import Dialect

__all__ = ["MySQLWriter"]

NO_DEFAULT = re.compile(r"(TINY|MEDIUM|LONG)?(TEXT|BLOB)\b|JSON\b|GEOMETRY\b", re.IGNORECASE)
"""Types that cannot have a constant default in MySQL."""


class MySQLWriter(ServerWriter):
    """https://dev.mysql.com/doc/refman/8.4/en/alter-table.html"""

    dialect: ClassVar[Dialect] = "mysql"

    def constraints(self, table: Table) -> Iterator[str]:
        for index in table.indexes:
            yield self._index(index)
        for key in table.foreign_keys:
            yield self.reference(key)

    def table_options(self, table: Table) -> str:
        comment = f" COMMENT={self.quote_text(table.comment)}" if table.comment else ""
        return f" CHARACTER SET utf8mb4{comment}"

    def column_comment(self, column: Column) -> str:
        return f" COMMENT {self.quote_text(column.comment)}" if column.comment else ""

    def _drop_references(self, change: TableChange) -> Iterator[str]:
        """The index that the server created for a foreign key stays when that is dropped, so it is dropped as well."""
        table = self.table_name(change.before)
        for key in change.dropped_foreign_keys:
            yield f"ALTER TABLE {table} DROP FOREIGN KEY {self.quote_name(key.name)}"
            if not has_index(change.before, key.column):
                yield f"ALTER TABLE {table} DROP INDEX {self.quote_name(key.name)}"

    def _drop_indexes(self, change: TableChange) -> Iterator[str]:
        for index in change.dropped_indexes:
            yield f"ALTER TABLE {self.table_name(change.before)} DROP INDEX {self.quote_name(index.name)}"

    def _rename(self, change: TableChange) -> Iterator[str]:
        table = self.table_name(change.new)
        if change.is_renamed:
            yield f"ALTER TABLE {self.table_name(change.before)} RENAME TO {table}"
        for was, now in change.renamed_columns:
            yield f"ALTER TABLE {table} RENAME COLUMN {self.quote_name(was)} TO {self.quote_name(now)}"
        for old, index in change.renamed_indexes:
            yield f"ALTER TABLE {table} RENAME INDEX {self.quote_name(old.name)} TO {self.quote_name(index.name)}"

    def _alter(self, change: TableChange) -> Iterator[str]:
        table = self.table_name(change.new)
        for was, now in change.altered_columns:
            yield from self._alter_column(table, was, now)
        for column in change.added_columns:
            yield from self._add_column(table, column)
        for column in change.dropped_columns:  # last, since a table needs at least one column
            yield f"ALTER TABLE {table} DROP COLUMN {self.quote_name(column.name)}"
        for index in change.added_indexes:
            yield f"ALTER TABLE {table} ADD {self._index(index)}"
        if change.comment_changed:
            yield f"ALTER TABLE {table} COMMENT={self.quote_text(change.new.comment)}"

    def _add_column(self, table: str, column: Column) -> Iterator[str]:
        """The server would fill a required column with its implicit default; instead, a value is set or the statement
        fails."""
        name = self.quote_name(column.name)
        if column.null or column.default or column.generated:
            yield f"ALTER TABLE {table} ADD COLUMN {self.column(column)}"
            return
        filling = self.filling(column)
        if filling and "(" not in filling and not NO_DEFAULT.match(column.type):  # without rewriting the rows
            comment = self.column_comment(column)
            yield f"ALTER TABLE {table} ADD COLUMN {name} {column.type} NOT NULL DEFAULT {filling}{comment}"
            yield f"ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT"
            return
        yield f"ALTER TABLE {table} ADD COLUMN {name} {column.type} NULL{self.column_comment(column)}"
        if filling:
            yield f"UPDATE {table} SET {name} = {filling}"
        yield f"ALTER TABLE {table} MODIFY COLUMN {self.column(column)}"

    def _alter_column(self, table: str, was: Column, now: Column) -> Iterator[str]:
        name = self.quote_name(now.name)
        value = now.default or self.filling(now)
        if was.null and not now.null and value:
            yield f"UPDATE {table} SET {name} = {value} WHERE {name} IS NULL"
        if now.generated:
            definition = f"{name} {now.generated.replace(' PRIMARY KEY', '')}{self.column_comment(now)}"
        else:
            definition = self.column(now)
        yield f"ALTER TABLE {table} MODIFY COLUMN {definition}"

    def _index(self, index: Index) -> str:
        kind = "UNIQUE " if index.unique else f"{index.kind} " if index.kind else ""
        return f"{kind}KEY {self.quote_name(index.name)} ({self.columns(index)}){index.extra}"
