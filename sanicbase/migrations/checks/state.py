"""The tables of a database as they are, and as they will be between the statements of migrations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from sanicbase.migrations.checks.actions import Column
from sanicbase.migrations.introspection import ColumnInfo, TableInfo

__all__ = ["ColumnState", "DatabaseState", "TableState", "database_state", "new_column"]

NOT_NULL = re.compile(r'CHECK \(\("?(?P<name>.+?)"? IS NOT NULL\)\)')
"""As PostgreSQL has it, which reads no row for SET NOT NULL then. One that is not validated ends in NOT VALID."""

Nulls = Literal["none", "all", "database"]
"""Which rows have NULL in a column: none, all, or what the database says."""


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
    """What the database calls it now; empty when it is not there yet."""
    is_proven: bool = False
    """Whether a CHECK of the database has seen to it that no row has NULL."""

    @property
    def needs_value(self) -> bool:
        """Whether whoever inserts a row has to give it a value."""
        return not (self.null or self.default or self.generated)


@dataclass(frozen=True)
class TableState:
    """A table at one moment."""

    name: str
    columns: Mapping[str, ColumnState] = field(default_factory=dict)
    """By their names in small letters."""
    uniques: frozenset[frozenset[str]] = frozenset()
    """Columns that are unique together, in small letters."""
    origin: str = ""
    """The table in the database whose rows it has; empty when it is not there yet."""
    is_new: bool = False
    """Whether the migration that is looked at has made it."""

    def column(self, name: str) -> ColumnState | None:
        """The column of that name, capitals aside."""
        return self.columns.get(name.lower())

    def with_column(self, column: ColumnState) -> TableState:
        """The same table with that column, in place of one of its name."""
        return replace(self, columns={**self.columns, column.name.lower(): column})

    def without_column(self, name: str) -> TableState:
        """The same table without that column, and what is unique with it."""
        columns = {key: column for key, column in self.columns.items() if key != name.lower()}
        return replace(
            self, columns=columns, uniques=frozenset(each for each in self.uniques if name.lower() not in each)
        )

    def with_column_renamed(self, old: str, new: str) -> TableState:
        """The same table, in which a column has another name."""
        moved = {old.lower(): new.lower()}
        columns = {
            moved.get(key, key): replace(column, name=new) if key == old.lower() else column
            for key, column in self.columns.items()
        }
        uniques = frozenset(frozenset(moved.get(name, name) for name in each) for each in self.uniques)
        return replace(self, columns=columns, uniques=uniques)

    def with_unique(self, columns: Iterable[str]) -> TableState:
        """The same table, in which these columns are unique together; an expression is no column."""
        names = frozenset(name.lower() for name in columns)
        return replace(self, uniques=self.uniques | ({names} if all(names) else set()))


class DatabaseState:
    """Tables by their names, capitals aside."""

    def __init__(self, tables: Iterable[TableState] = ()) -> None:
        self._tables = {table.name.lower(): table for table in tables}

    def __iter__(self) -> Iterator[TableState]:
        return iter(self._tables.values())

    def get(self, name: str) -> TableState | None:
        """The table of that name."""
        return self._tables.get(name.lower())

    def put(self, table: TableState) -> None:
        """Have a table, in place of one of its name."""
        self._tables[table.name.lower()] = table

    def drop(self, name: str) -> None:
        """Have it no more."""
        self._tables.pop(name.lower(), None)

    def copy(self) -> DatabaseState:
        """The same tables, which may go on differently."""
        return DatabaseState(self)

    def finish_migration(self, *, filled: bool = False) -> None:
        """A migration has ended: nothing is new any more. `filled` says that a function of it may have filled any
        column."""
        for table in self:
            columns = {key: replace(column, nulls="none") for key, column in table.columns.items()}
            self.put(replace(table, is_new=False, columns=columns if filled else table.columns))


def database_state(tables: Iterable[TableInfo]) -> DatabaseState:
    """The tables as the database has them."""
    return DatabaseState(
        TableState(
            name=table.name,
            columns={name.lower(): _column_state(column, table.checks) for name, column in table.columns.items()},
            uniques=frozenset(frozenset(name.lower() for name in each) for each in (*table.unique_sets, table.key)),
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
    """A column that a statement defines: rows that are there get its default, else NULL."""
    empty = column.null and not (column.default or column.generated)
    return ColumnState(
        column.name, column.type, column.null, column.default, column.generated, nulls="all" if empty else "none"
    )
