"""The statements that all databases have in common."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.schema.changes import Changes, TableChange
from sanicbase.migrations.schema.literals import quote_name, quote_text
from sanicbase.migrations.schema.tables import Column, ForeignKey, Index, Table
from sanicbase.migrations.statements import Dialect

__all__ = ["ServerWriter", "Writer"]

# Fills a column of that type when no value is known.
NEUTRAL: tuple[tuple[str, str], ...] = (
    (r"JSON|.*\[\]", "'{}'"),
    (r"UUID", "'00000000-0000-0000-0000-000000000000'"),
    (r"BOOL", "FALSE"),
    (r"DATETIME|TIMESTAMP", "'1970-01-01 00:00:00'"),
    (r"DATE", "'1970-01-01'"),
    (r"TIME", "'00:00:00'"),
    (r"(BIG|SMALL|TINY)?INT|DECIMAL|NUMERIC|DOUBLE|REAL|FLOAT", "0"),
    (r"", "''"),
)


class Writer(ABC):
    """Writes statements of one dialect, for tables that have rows."""

    dialect: ClassVar[Dialect]

    def __init__(self, *, safe: bool, reverse: bool) -> None:
        self._safe = " IF NOT EXISTS" if safe else ""
        self._reverse = reverse

    @abstractmethod
    def script(self, changes: Changes) -> Iterator[str]:
        """All statements in order."""

    def create(self, table: Table, name: str | None = None) -> Iterator[str]:
        """A table, optionally under another name, and the indexes that are separate statements."""
        parts = [
            *(self.column(column, is_key=column.name == table.key) for column in table.columns),
            *self.constraints(table),
        ]
        inside = ",\n    ".join(parts)
        table_name = self.name(name or table.name, table.schema)
        yield f"CREATE TABLE{self._safe} {table_name} (\n    {inside}\n){self.table_options(table)}"

    @abstractmethod
    def constraints(self, table: Table) -> Iterator[str]:
        """The table elements after the columns."""

    def table_options(self, table: Table) -> str:
        """The table options after the closing parenthesis."""
        return ""

    def column(self, column: Column, *, is_key: bool = False) -> str:
        """A column definition for CREATE TABLE and ADD COLUMN."""
        if column.generated:
            return f"{self.quote_name(column.name)} {column.generated}{self.column_comment(column)}"
        null = "" if column.null else " NOT NULL"
        key = " PRIMARY KEY" if is_key else ""
        default = f" DEFAULT {column.default}" if column.default else ""
        return f"{self.quote_name(column.name)} {column.type}{null}{key}{default}{self.column_comment(column)}"

    def column_comment(self, column: Column) -> str:
        """The comment as a part of the column definition."""
        return ""

    def reference(self, key: ForeignKey) -> str:
        """A foreign key as a table element."""
        target = self.name(key.table, key.schema)
        return (
            f"{self.constraint(key.name)}FOREIGN KEY ({self.quote_name(key.column)}) "
            f"REFERENCES {target} ({self.quote_name(key.to_column)}) ON DELETE {key.on_delete}"
        )

    def constraint(self, name: str) -> str:
        """The name of a constraint in a definition."""
        return f"CONSTRAINT {self.quote_name(name)} "

    def filling(self, column: Column) -> str:
        """The value of existing rows in a column that is added as required or becomes required; empty if unknown."""
        if column.filling or not self._reverse:
            return column.filling
        return next(value for pattern, value in NEUTRAL if re.match(pattern, column.type, re.IGNORECASE))

    def columns(self, index: Index) -> str:
        """The columns of an index, and expressions unchanged."""
        return ", ".join(column if _is_expression(column) else self.quote_name(column) for column in index.columns)

    def quote_name(self, name: str) -> str:
        return quote_name(name, self.dialect)

    def quote_text(self, value: str) -> str:
        return quote_text(value, self.dialect)

    def name(self, table: str, schema: str | None = None) -> str:
        """A table, with its schema if it has one."""
        return f"{self.quote_name(schema)}.{self.quote_name(table)}" if schema else self.quote_name(table)

    def table_name(self, table: Table) -> str:
        return self.name(table.name, table.schema)

    def refuse_other_key(self, change: TableChange) -> None:
        """Raise MigrationError when the primary key changes to another column, which no statement does for all rows."""
        if change.old.key != change.new.key:
            table, old, new = change.new.name, change.old.key, change.new.key
            raise MigrationError(
                _(
                    "The primary key of {table} changes from {old} to {new}. No statement does that for a table "
                    "with rows and references. Create a new table, and copy the rows in a data migration.",
                    table=table,
                    old=old,
                    new=new,
                )
            )


class ServerWriter(Writer):
    """The order for PostgreSQL and MySQL: obstacles are dropped first, under their old names; foreign keys come
    last."""

    def script(self, changes: Changes) -> Iterator[str]:
        for change in changes.changed:
            self.refuse_other_key(change)
            yield from self._drop_references(change)
        for change in changes.changed:
            yield from self._drop_indexes(change)
        for table in changes.dropped:
            yield f"DROP TABLE {self.table_name(table)}"
        for change in changes.changed:
            yield from self._rename(change)
        for change in changes.changed:
            yield from self._alter(change)
        for table in changes.created:
            yield from self.create(table)
        for change in changes.changed:
            for key in change.added_foreign_keys:
                yield f"ALTER TABLE {self.table_name(change.new)} ADD {self.reference(key)}"

    @abstractmethod
    def _drop_references(self, change: TableChange) -> Iterator[str]:
        """Drop foreign keys that are removed or recreated."""

    @abstractmethod
    def _drop_indexes(self, change: TableChange) -> Iterator[str]:
        """Drop removed indexes."""

    @abstractmethod
    def _rename(self, change: TableChange) -> Iterator[str]:
        """Alter the table, its columns and its constraints."""

    @abstractmethod
    def _alter(self, change: TableChange) -> Iterator[str]:
        """Add columns, indexes and comments."""


def _is_expression(column: str) -> bool:
    """How Tortoise distinguishes them."""
    return any(mark in column for mark in ("(", ")", " ", '"', ".", ":"))
