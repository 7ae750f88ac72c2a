"""SQLite: a change that its ALTER TABLE does not support creates a new table, copies the rows and renames it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from sanicbase.migrations.schema.changes import Changes, TableChange
from sanicbase.migrations.schema.sql.writer import Writer
from sanicbase.migrations.schema.tables import Column, Index, Table
from sanicbase.migrations.statements import Dialect

__all__ = ["SQLiteWriter"]

ESCAPES = str.maketrans({"\\": "\\\\", "/": "\\/", "\n": "\\n", "\r": "\\r"})
"""Tortoise escapes `*/` in comments like this."""


class SQLiteWriter(Writer):
    """Foreign keys are disabled while the statements run, because a table is dropped.

    https://www.sqlite.org/lang_altertable.html#otheralter
    """

    dialect: ClassVar[Dialect] = "sqlite"

    def script(self, changes: Changes) -> Iterator[str]:
        for change in changes.changed:
            for index in change.dropped_indexes:
                if not index.constraint:
                    yield f"DROP INDEX {self.quote_name(index.name)}"
        for table in changes.dropped:
            yield f"DROP TABLE {self.table_name(table)}"
        for change in changes.changed:
            yield from self._rename(change)
        for change in changes.changed:
            yield from self._rebuild(change) if _needs_rebuild(change) else self._alter(change)
        for table in changes.created:
            yield from self.create(table)

    def create(self, table: Table, name: str | None = None) -> Iterator[str]:
        yield from super().create(table, name)
        if name is None:
            yield from self._indexes(table)

    def constraints(self, table: Table) -> Iterator[str]:
        for index in table.indexes:
            if index.constraint:
                yield f"{self.constraint(index.name)}UNIQUE ({self.columns(index)})"
        for key in table.foreign_keys:
            yield self.reference(key)

    def table_options(self, table: Table) -> str:
        return _comment(table.comment)

    def column_comment(self, column: Column) -> str:
        return _comment(column.comment)

    def constraint(self, name: str) -> str:
        return ""  # never executed

    def _rename(self, change: TableChange) -> Iterator[str]:
        table = self.table_name(change.new)
        if change.is_renamed:
            yield f"ALTER TABLE {self.table_name(change.before)} RENAME TO {table}"
        for was, now in change.renamed_columns:
            yield f"ALTER TABLE {table} RENAME COLUMN {self.quote_name(was)} TO {self.quote_name(now)}"
        for old, index in change.renamed_indexes:
            if not index.constraint:
                yield f"DROP INDEX {self.quote_name(old.name)}"
                if not _needs_rebuild(change):
                    yield self._index(change.new, index)

    def _alter(self, change: TableChange) -> Iterator[str]:
        for column in change.added_columns:
            yield f"ALTER TABLE {self.table_name(change.new)} ADD COLUMN {self.column(column)}"
        for index in change.added_indexes:
            yield self._index(change.new, index)

    def _rebuild(self, change: TableChange) -> Iterator[str]:
        table, name = change.new, f"new__{change.new.name}"
        old, new = self.table_name(table), self.quote_name(name)
        yield from self.create(table, name)
        pairs = [(column, change.old.column(column.name)) for column in table.columns]
        values = [
            (self.quote_name(column.name), value)
            for column, old_column in pairs
            if (value := self._value(column, old_column))
        ]
        names, selected = (", ".join(part) for part in zip(*values, strict=True))
        yield f"INSERT INTO {new} ({names}) SELECT {selected} FROM {old}"
        if _is_counted(table) and _is_counted(change.old):  # so that numbers are not reused
            yield f"DELETE FROM sqlite_sequence WHERE name = {self.quote_text(name)}"
            yield (
                f"INSERT INTO sqlite_sequence (name, seq) SELECT {self.quote_text(name)}, seq FROM sqlite_sequence "
                f"WHERE name = {self.quote_text(table.name)}"
            )
        yield f"DROP TABLE {old}"
        yield f"ALTER TABLE {new} RENAME TO {old}"
        yield from self._indexes(table)

    def _value(self, column: Column, was: Column | None) -> str:
        """The value of existing rows in the column; empty for its default."""
        name = self.quote_name(column.name)
        value = "" if column.null or column.generated else column.default or self.filling(column)
        if was is None:
            return value
        return f"COALESCE({name}, {value})" if value and was.null else name

    def _indexes(self, table: Table) -> Iterator[str]:
        for index in table.indexes:
            if not index.constraint:
                yield self._index(table, index)

    def _index(self, table: Table, index: Index) -> str:
        unique = "UNIQUE " if index.unique else ""
        name = self.quote_name(index.name)
        return (
            f"CREATE {unique}INDEX{self._safe} {name} ON {self.table_name(table)} ({self.columns(index)}){index.extra}"
        )


def _needs_rebuild(change: TableChange) -> bool:
    """A comment alone does not rebuild the table: SQLite keeps comments only in the text of its statements."""
    retyped = [was for was, now in change.altered_columns if was.identity[:-1] != now.identity[:-1]]
    added = [column for column in change.added_columns if not column.null or column.default or column.generated]
    indexes = [column for column in (*change.dropped_indexes, *change.added_indexes) if column.constraint]
    keys = (*change.dropped_foreign_keys, *change.added_foreign_keys)
    return bool(retyped or added or change.dropped_columns or indexes or keys or change.old.key != change.new.key)


def _is_counted(table: Table) -> bool:
    return any("AUTOINCREMENT" in column.generated.upper() for column in table.columns)


def _comment(comment: str) -> str:
    return f" /* {comment.translate(ESCAPES)} */" if comment else ""
