"""SQLite: what its ALTER TABLE cannot do is done by a new table that takes the rows and then the name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from sanicbase.migrations.schema.changes import Changes, TableChange
from sanicbase.migrations.schema.sql.writer import Writer
from sanicbase.migrations.schema.tables import Column, Index, Table
from sanicbase.migrations.statements import Dialect

__all__ = ["SQLiteWriter"]

ESCAPES = str.maketrans({"\\": "\\\\", "/": "\\/", "\n": "\\n", "\r": "\\r"})
"""As Tortoise writes comments, in which `*/` would end them."""


class SQLiteWriter(Writer):
    """Foreign keys are off while the statements run, for a table is dropped.

    https://www.sqlite.org/lang_altertable.html#otheralter
    """

    dialect: ClassVar[Dialect] = "sqlite"

    def script(self, changes: Changes) -> Iterator[str]:
        for change in changes.changed:
            for index in change.dropped_indexes:
                if not index.constraint:
                    yield f"DROP INDEX {self.quoted(index.name)}"
        for table in changes.dropped:
            yield f"DROP TABLE {self.of(table)}"
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

    def parts(self, table: Table) -> Iterator[str]:
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
        return ""  # nobody ever asks for it

    def _rename(self, change: TableChange) -> Iterator[str]:
        table = self.of(change.new)
        if change.is_renamed:
            yield f"ALTER TABLE {self.of(change.before)} RENAME TO {table}"
        for was, now in change.renamed_columns:
            yield f"ALTER TABLE {table} RENAME COLUMN {self.quoted(was)} TO {self.quoted(now)}"
        for old, index in change.renamed_indexes:
            if not index.constraint:
                yield f"DROP INDEX {self.quoted(old.name)}"
                if not _needs_rebuild(change):
                    yield self._index(change.new, index)

    def _alter(self, change: TableChange) -> Iterator[str]:
        for column in change.added_columns:
            yield f"ALTER TABLE {self.of(change.new)} ADD COLUMN {self.column(column)}"
        for index in change.added_indexes:
            yield self._index(change.new, index)

    def _rebuild(self, change: TableChange) -> Iterator[str]:
        table, name = change.new, f"new__{change.new.name}"
        old, new = self.of(table), self.quoted(name)
        yield from self.create(table, name)
        pairs = [(each, change.old.column(each.name)) for each in table.columns]
        values = [(self.quoted(each.name), value) for each, was in pairs if (value := self._value(each, was))]
        names, taken = (", ".join(part) for part in zip(*values, strict=True))
        yield f"INSERT INTO {new} ({names}) SELECT {taken} FROM {old}"
        if _is_counted(table) and _is_counted(change.old):  # a number that was given is not given again
            yield f"DELETE FROM sqlite_sequence WHERE name = {self.text(name)}"
            yield (
                f"INSERT INTO sqlite_sequence (name, seq) SELECT {self.text(name)}, seq FROM sqlite_sequence "
                f"WHERE name = {self.text(table.name)}"
            )
        yield f"DROP TABLE {old}"
        yield f"ALTER TABLE {new} RENAME TO {old}"
        yield from self._indexes(table)

    def _value(self, column: Column, was: Column | None) -> str:
        """What the rows get in the column; empty to leave it to its default."""
        name = self.quoted(column.name)
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
        name = self.quoted(index.name)
        return f"CREATE {unique}INDEX{self._safe} {name} ON {self.of(table)} ({self.columns(index)}){index.extra}"


def _needs_rebuild(change: TableChange) -> bool:
    """Comments alone are no reason: SQLite has none but in the text of its statements."""
    retyped = [was for was, now in change.altered_columns if was.identity[:-1] != now.identity[:-1]]
    added = [each for each in change.added_columns if not each.null or each.default or each.generated]
    indexes = [each for each in (*change.dropped_indexes, *change.added_indexes) if each.constraint]
    keys = (*change.dropped_foreign_keys, *change.added_foreign_keys)
    return bool(retyped or added or change.dropped_columns or indexes or keys or change.old.key != change.new.key)


def _is_counted(table: Table) -> bool:
    return any("AUTOINCREMENT" in column.generated.upper() for column in table.columns)


def _comment(comment: str) -> str:
    return f" /* {comment.translate(ESCAPES)} */" if comment else ""
