"""The tables of a database, now and between the statements of migrations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from sanicbase.migrations.checks.actions import Column
from sanicbase.migrations.introspection import ColumnInfo, TableInfo

__all__ = ["ColumnState", "DatabaseState", "TableState", "database_state", "new_column"]

NOT_NULL = re.compile(r'CHECK \(\("?(?P<name>.+?)"? IS NOT NULL\)\)')
"""PostgreSQL's spelling. With such a CHECK, SET NOT NULL reads no rows. An unvalidated one ends in NOT VALID."""

Nulls = Literal["none", "all", "database"]
"""Which rows have NULL in a column: none, all, or as the database says."""


@dataclass(frozen=True)
class ColumnState:
    """A column at one moment."""

    name: str
    type: str
    null: bool = True
    default: bool = False
    generated: bool = False
    nulls: Nulls = "none"
    origin: str = ""
    """Its name in the database; empty when it does not exist there yet."""
    is_proven: bool = False
    """Whether a CHECK of the database excludes NULL."""

    @property
    def needs_value(self) -> bool:
        """Whether an INSERT must provide a value."""
        return not (self.null or self.default or self.generated)


@dataclass(frozen=True)
class TableState:
    """A table at one moment."""

    name: str
    columns: Mapping[str, ColumnState] = field(default_factory=dict)
    """The columns by lower-case name."""
    uniques: frozenset[frozenset[str]] = frozenset()
    """Sets of columns that are unique together, in lower case."""
    origin: str = ""
    """The table in the database that has its rows; empty when it does not exist there yet."""
    is_new: bool = False
    """Whether the migration being checked creates it."""

    def column(self, name: str) -> ColumnState | None:
        """The column with that name, case-insensitively."""
        return self.columns.get(name.lower())

    def with_column(self, column: ColumnState) -> TableState:
        """The table with that column added or replaced."""
        return replace(self, columns={**self.columns, column.name.lower(): column})

    def without_column(self, name: str) -> TableState:
        """The table without that column and its unique sets."""
        columns = {key: column for key, column in self.columns.items() if key != name.lower()}
        return replace(
            self, columns=columns, uniques=frozenset(unique for unique in self.uniques if name.lower() not in unique)
        )

    def with_column_renamed(self, old: str, new: str) -> TableState:
        """The table with a column renamed."""
        moved = {old.lower(): new.lower()}
        columns = {
            moved.get(key, key): replace(column, name=new) if key == old.lower() else column
            for key, column in self.columns.items()
        }
        uniques = frozenset(frozenset(moved.get(name, name) for name in unique) for unique in self.uniques)
        return replace(self, columns=columns, uniques=uniques)

    def with_unique(self, columns: Iterable[str]) -> TableState:
        """The table with these columns unique together; an expression is not a column."""
        names = frozenset(name.lower() for name in columns)
        return replace(self, uniques=self.uniques | ({names} if all(names) else set()))


class DatabaseState:
    """Tables by case-insensitive name."""

    def __init__(self, tables: Iterable[TableState] = ()) -> None:
        self._tables = {table.name.lower(): table for table in tables}

    def __iter__(self) -> Iterator[TableState]:
        return iter(self._tables.values())

    def get(self, name: str) -> TableState | None:
        """The table with that name."""
        return self._tables.get(name.lower())

    def put(self, table: TableState) -> None:
        """Add or replace a table."""
        self._tables[table.name.lower()] = table

    def drop(self, name: str) -> None:
        """Remove the table."""
        self._tables.pop(name.lower(), None)

    def copy(self) -> DatabaseState:
        """A copy, which can change independently."""
        return DatabaseState(self)

    def finish_migration(self, *, filled: bool = False) -> None:
        """End a migration: nothing is new any more. `filled` says that its `migrate_data` may have filled any
        column."""
        for table in self:
            columns = {key: replace(column, nulls="none") for key, column in table.columns.items()}
            self.put(replace(table, is_new=False, columns=columns if filled else table.columns))


def database_state(tables: Iterable[TableInfo]) -> DatabaseState:
    """The current tables of the database."""
    return DatabaseState(
        TableState(
            name=table.name,
            columns={name.lower(): _column_state(column, table.checks) for name, column in table.columns.items()},
            uniques=frozenset(frozenset(name.lower() for name in unique) for unique in (*table.unique_sets, table.key)),
            origin=table.name,
        )
        for table in tables
    )


def _column_state(column: ColumnInfo, checks: Iterable[str]) -> ColumnState:
    proven = any((match := NOT_NULL.fullmatch(check)) and match["name"] == column.name for check in checks)
    return ColumnState(
        name=column.name,
        type=column.type,
        null=column.nullable,
        default=column.default is not None,
        generated=column.generated or bool(column.computed),
        nulls="database" if column.nullable and not proven else "none",
        origin=column.name,
        is_proven=proven,
    )


def new_column(column: Column) -> ColumnState:
    """A column that a statement defines: existing rows get its default, or else NULL."""
    empty = column.null and not (column.default or column.generated)
    return ColumnState(
        column.name, column.type, column.null, column.default, column.generated, nulls="all" if empty else "none"
    )
