"""Simulates the statements of a migration in order, with the tables as each statement finds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sanicbase.migrations.checks.actions import (
    Action,
    AddColumn,
    AddIndex,
    AlterColumn,
    CopyRows,
    CreateTable,
    DropColumn,
    DropTable,
    FillColumns,
    RenameColumn,
    RenameTable,
    SaveRows,
    SetTimeout,
)
from sanicbase.migrations.checks.parser import parse_actions
from sanicbase.migrations.checks.state import ColumnState, DatabaseState, TableState, new_column
from sanicbase.migrations.statements import Dialect

__all__ = [
    "ColumnAdded",
    "ColumnAltered",
    "ColumnDropped",
    "Event",
    "IndexCreated",
    "StatementEffects",
    "TableCreated",
    "TableDropped",
    "TableRebuilt",
    "simulate",
]


@dataclass(frozen=True)
class Event:
    """A change of a table; `table` is the state before it. `number` is that of the statement, from 1."""

    number: int
    table: TableState


@dataclass(frozen=True)
class TableCreated(Event):
    """The table is created."""


@dataclass(frozen=True)
class TableDropped(Event):
    """The table is dropped with its rows."""


@dataclass(frozen=True)
class TableRebuilt(Event):
    """Its rows are copied to a new table, which gets its name."""


@dataclass(frozen=True)
class ColumnAdded(Event):
    """The column is added; `filled` says that existing rows get a value."""

    column: ColumnState
    filled: bool


@dataclass(frozen=True)
class ColumnDropped(Event):
    """The column is dropped with its values."""

    column: ColumnState


@dataclass(frozen=True)
class ColumnAltered(Event):
    """The column is altered; `filled` says that the statement replaces NULL with a value."""

    column: ColumnState
    now: ColumnState
    filled: bool = False


@dataclass(frozen=True)
class IndexCreated(Event):
    """An index is created, or a constraint with an index."""

    index: AddIndex


@dataclass(frozen=True)
class StatementEffects:
    """A statement: its changes, its tables, and whether a lock timeout is set."""

    number: int
    sql: str
    events: tuple[Event, ...]
    touched: tuple[TableState, ...]
    has_lock_timeout: bool


@dataclass(frozen=True)
class _Copy:
    """Rows that were copied to another table, which may replace the source."""

    number: int
    action: CopyRows
    before: TableState
    """The new table before the copy."""
    target: str
    """Its current name."""


def simulate(
    statements: Sequence[str], tables: DatabaseState, dialect: Dialect, *, done: int = 0
) -> list[StatementEffects]:
    """The effects of the statements, without the first ones that were already executed. The tables then have the
    resulting state."""
    simulator = _Simulator(tables)
    return [simulator.apply(number, sql, dialect) for number, sql in enumerate(statements, 1) if number > done]


class _Simulator:
    def __init__(self, tables: DatabaseState) -> None:
        self._tables = tables
        self._copies: dict[str, _Copy] = {}  # by the name of the source table
        self._kept: set[str] = set()
        self._rebuilt: set[str] = set()
        self._has_lock_timeout = False

    def apply(self, number: int, sql: str, dialect: Dialect) -> StatementEffects:
        actions = parse_actions(sql, dialect)
        self._has_lock_timeout = self._has_lock_timeout or any(isinstance(action, SetTimeout) for action in actions)
        touched = [table for action in actions if (table := self._touched(action))]
        events = [event for action in actions for event in self._take(number, action)]
        return StatementEffects(number, sql, tuple(events), tuple(touched), self._has_lock_timeout)

    def _touched(self, action: Action) -> TableState | None:
        return None if isinstance(action, SetTimeout | CreateTable) else self._tables.get(action.table)

    def _take(self, number: int, action: Action) -> Iterator[Event]:
        if isinstance(action, CreateTable):
            yield from self._create(number, action)
        elif (table := self._touched(action)) is not None:
            yield from self._change(number, table, action)

    def _create(self, number: int, action: CreateTable) -> Iterator[Event]:
        if action.if_not_exists and self._tables.get(action.table):
            return
        columns = {column.name.lower(): replace(new_column(column), nulls="none") for column in action.columns}
        table = TableState(action.table, columns, is_new=True)
        for unique in action.uniques:
            table = table.with_unique(unique)
        self._tables.put(table)
        yield TableCreated(number, table)

    def _change(self, number: int, table: TableState, action: Action) -> Iterator[Event]:
        match action:
            case DropTable():
                yield from self._drop(number, table)
            case RenameTable(to=name):
                self._rename(table, name)
            case SaveRows():
                self._kept.add(table.origin)
            case CopyRows():
                self._copy(number, table, action)
            case AddIndex():
                yield from self._index(number, table, action)
            case FillColumns(names=names):
                self._fill(table, names)
            case AddColumn(column=column):
                yield from self._add(number, table, new_column(column))
            case DropColumn() | RenameColumn() | AlterColumn():
                yield from self._change_column(number, table, action)

    def _add(self, number: int, table: TableState, column: ColumnState) -> Iterator[Event]:
        if table.column(column.name) is None:
            yield ColumnAdded(number, table, column, filled=column.default or column.generated)
            self._tables.put(table.with_column(column))

    def _change_column(
        self, number: int, table: TableState, action: DropColumn | RenameColumn | AlterColumn
    ) -> Iterator[Event]:
        if (column := table.column(action.name)) is None:
            return
        match action:
            case DropColumn():
                yield ColumnDropped(number, table, column)
                self._tables.put(table.without_column(column.name))
            case RenameColumn(to=name):
                self._tables.put(table.with_column_renamed(column.name, name))
            case AlterColumn():
                null = column.null if action.null is None else action.null
                now = replace(
                    column,
                    type=action.type or column.type,
                    null=null,
                    default=column.default if action.default is None else action.default,
                    nulls=column.nulls if null else "none",
                )
                yield ColumnAltered(number, table, column, now)
                self._tables.put(table.with_column(now))

    def _index(self, number: int, table: TableState, action: AddIndex) -> Iterator[Event]:
        if not table.origin or table.origin not in self._rebuilt:  # if it is a part of the expression
            yield IndexCreated(number, table, action)
        if action.unique:
            self._tables.put(table.with_unique(action.columns))

    def _fill(self, table: TableState, names: Sequence[str]) -> None:
        for name in names:
            if column := table.column(name):
                table = table.with_column(replace(column, nulls="none"))
        self._tables.put(table)

    def _rename(self, table: TableState, name: str) -> None:
        self._tables.drop(table.name)
        self._tables.put(replace(table, name=name))
        if copy := self._copies.pop(table.name.lower(), None):
            self._copies[name.lower()] = copy
        for source, copy in self._copies.items():
            if copy.target.lower() == table.name.lower():
                self._copies[source] = replace(copy, target=name)

    def _copy(self, number: int, target: TableState, action: CopyRows) -> None:
        source = self._tables.get(action.source)
        if source is None or not target.is_new:
            return
        self._copies[source.name.lower()] = _Copy(number, action, target, target.name)
        columns = {
            name.lower(): replace(column, origin=was.origin, nulls="none" if filled or not column.null else was.nulls)
            for name, taken, filled in action.columns
            if (column := target.column(name)) and (was := source.column(taken))
        }
        given = {name.lower() for name, _, filled in action.columns if filled} | columns.keys()
        rest = {
            key: replace(column, nulls="all")
            for key, column in target.columns.items()
            if column.null and not column.default and key not in given
        }
        self._tables.put(replace(target, origin=source.origin, columns={**target.columns, **rest, **columns}))

    def _drop(self, number: int, table: TableState) -> Iterator[Event]:
        self._tables.drop(table.name)
        copy = self._copies.get(table.name.lower())
        if copy is None:
            if not table.origin or table.origin not in self._kept:
                yield TableDropped(number, table)
            return
        if (target := self._tables.get(copy.target)) is not None:
            self._tables.put(replace(target, is_new=table.is_new))
        self._rebuilt.add(table.origin)
        yield TableRebuilt(copy.number, table)
        yield from _differences(table, copy)


def _differences(table: TableState, copy: _Copy) -> Iterator[Event]:
    """The differences of the new table from the source."""
    taken = {source.lower() for _, source, _ in copy.action.columns}
    given = {name.lower(): (source, filled) for name, source, filled in copy.action.columns}
    for key, column in table.columns.items():
        if key not in taken:
            yield ColumnDropped(copy.number, table, column)
    for key, column in copy.before.columns.items():
        source, filled = given.get(key, ("", False))
        was = table.column(source)
        if was is None:
            yield ColumnAdded(copy.number, table, column, filled=filled or column.default or column.generated)
        else:
            yield ColumnAltered(copy.number, table, was, replace(column, origin=was.origin), filled=filled)
