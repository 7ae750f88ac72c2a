"""The differences between two states of a label's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter

from sanicbase.migrations.schema.tables import Column, ForeignKey, Index, Schema, Table
from sanicbase.migrations.statements import Dialect

__all__ = ["Changes", "Renames", "TableChange", "diff_schemas", "has_index"]


@dataclass(frozen=True)
class Renames:
    """The renames between two states."""

    tables: Mapping[str, str] = field(default_factory=dict)
    """`{"goods": "product"}`"""
    columns: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """`{("product", "title"): "name"}`, with the new name of the table."""

    def inverted(self) -> Renames:
        """The reverse renames."""
        tables = {new: old for old, new in self.tables.items()}
        return Renames(tables, {(tables.get(table, table), new): old for (table, old), new in self.columns.items()})


@dataclass(frozen=True)
class TableChange:
    """A table in both states. Dropped parts have their old names, added and altered parts their new ones."""

    before: Table
    old: Table
    """The old state, with the new names of tables and columns."""
    new: Table
    renamed_columns: tuple[tuple[str, str], ...]
    dropped_columns: tuple[Column, ...]
    added_columns: tuple[Column, ...]
    altered_columns: tuple[tuple[Column, Column], ...]
    dropped_indexes: tuple[Index, ...]
    added_indexes: tuple[Index, ...]
    renamed_indexes: tuple[tuple[Index, Index], ...]
    dropped_foreign_keys: tuple[ForeignKey, ...]
    added_foreign_keys: tuple[ForeignKey, ...]
    renamed_foreign_keys: tuple[tuple[ForeignKey, ForeignKey], ...]

    @property
    def is_renamed(self) -> bool:
        return self.before.name != self.new.name

    @property
    def comment_changed(self) -> bool:
        return self.before.comment != self.new.comment

    @property
    def has_changes(self) -> bool:
        """Whether there is any change."""
        lists = (
            self.renamed_columns,
            self.dropped_columns,
            self.added_columns,
            self.altered_columns,
            self.dropped_indexes,
            self.added_indexes,
            self.renamed_indexes,
            self.dropped_foreign_keys,
            self.added_foreign_keys,
            self.renamed_foreign_keys,
        )
        rekeyed = self.old.key != self.new.key
        return self.is_renamed or self.comment_changed or rekeyed or any(lists)


@dataclass(frozen=True)
class Changes:
    """The changes from one state to another. Tables are ordered: they reference only earlier ones."""

    created: tuple[Table, ...]
    dropped: tuple[Table, ...]
    changed: tuple[TableChange, ...]


def diff_schemas(old: Schema, new: Schema, renames: Renames, dialect: Dialect) -> Changes:
    """The changes that turn the old tables into the new ones."""
    moved = _moved(old, renames)
    kept = {name: pair for name, pair in moved.items() if name in new}
    retyped = {
        (name, column.name)
        for name, (_, table) in kept.items()
        for column in table.columns
        if (now := new[name].column(column.name)) and _type(now) != _type(column)
    }
    compared = [_compare(before, table, new[name], retyped, dialect) for name, (before, table) in kept.items()]
    dropped = {before.name: before for before in old.values() if _name(before, renames) not in kept}
    created = {name: table for name, table in new.items() if name not in moved}
    return Changes(
        created=tuple(_sorted(created)),
        dropped=tuple(reversed(_sorted(dropped))),
        changed=tuple(change for change in compared if change.has_changes),
    )


def _type(column: Column) -> str:
    return column.generated or column.type


def _moved(old: Schema, renames: Renames) -> dict[str, tuple[Table, Table]]:
    """Each old table unchanged, and with the new names; by its new name."""
    moved = {}
    for before in old.values():
        if (name := _name(before, renames)) is None:
            continue
        table = before.renamed(name)
        for (owner, column), to in renames.columns.items():
            if owner == name:
                table = table.with_column_renamed(column, to)
        references = tuple(_moved_reference(key, renames) for key in table.foreign_keys)
        moved[name] = before, replace(table, foreign_keys=references)
    return moved


def _name(before: Table, renames: Renames) -> str | None:
    """The new name of the table; None when another table takes its name."""
    name = renames.tables.get(before.name, before.name)
    return None if name == before.name and name in renames.tables.values() else name


def _moved_reference(key: ForeignKey, renames: Renames) -> ForeignKey:
    table = renames.tables.get(key.table, key.table)
    return replace(key, table=table, to_column=renames.columns.get((table, key.to_column), key.to_column))


def _compare(before: Table, old: Table, new: Table, retyped: set[tuple[str, str]], dialect: Dialect) -> TableChange:
    columns = {column.name: column for column in old.columns}
    new_names = {column.name for column in new.columns}
    altered = [(columns[now.name], now) for now in new.columns if now.name in columns]
    names = dict(zip((column.name for column in old.columns), (column.name for column in before.columns), strict=True))
    indexes, foreign_keys = _Indexes(before, old, new), _ForeignKeys(before, old, new, retyped, dialect)
    return TableChange(
        before=before,
        old=old,
        new=new,
        renamed_columns=tuple((was, now) for now, was in names.items() if was != now),
        dropped_columns=tuple(column for column in old.columns if column.name not in new_names),
        added_columns=tuple(column for column in new.columns if column.name not in columns),
        altered_columns=tuple((was, now) for was, now in altered if was.identity != now.identity),
        dropped_indexes=indexes.dropped,
        added_indexes=indexes.added,
        renamed_indexes=indexes.renamed,
        dropped_foreign_keys=foreign_keys.dropped,
        added_foreign_keys=foreign_keys.added,
        renamed_foreign_keys=foreign_keys.renamed,
    )


class _Indexes:
    def __init__(self, before: Table, old: Table, new: Table) -> None:
        was = {moved.identity: index for index, moved in zip(before.indexes, old.indexes, strict=True)}
        now = {index.identity: index for index in new.indexes}
        self.dropped = tuple(index for identity, index in was.items() if identity not in now)
        self.added = tuple(index for identity, index in now.items() if identity not in was)
        both = [(was[identity], index) for identity, index in now.items() if identity in was]
        self.renamed = tuple((one, other) for one, other in both if one.name != other.name)


class _ForeignKeys:
    """MySQL cannot rename a foreign key, so it is recreated; also when the type of one of its columns changes."""

    def __init__(self, before: Table, old: Table, new: Table, retyped: set[tuple[str, str]], dialect: Dialect) -> None:
        was = {moved.identity: key for key, moved in zip(before.foreign_keys, old.foreign_keys, strict=True)}
        now = {key.identity: key for key in new.foreign_keys}
        anew = {
            identity
            for identity in was.keys() & now.keys()
            if {(new.name, now[identity].column), (now[identity].table, now[identity].to_column)} & retyped
            or (dialect == "mysql" and _must_be_recreated(was[identity], now[identity], before, new))
        }
        self.dropped = tuple(key for identity, key in was.items() if identity not in now or identity in anew)
        self.added = tuple(key for identity, key in now.items() if identity not in was or identity in anew)
        same = [(was[identity], now[identity]) for identity in was.keys() & now.keys() - anew]
        self.renamed = tuple((one, other) for one, other in same if one.name != other.name)


def _must_be_recreated(was: ForeignKey, now: ForeignKey, before: Table, new: Table) -> bool:
    return was.name != now.name or (has_index(before, was.column) and not has_index(new, now.column))


def has_index(table: Table, column: str) -> bool:
    """Whether a foreign key needs no index of its own, which MySQL otherwise creates and replaces automatically."""
    leading = [index.columns[0] for index in table.indexes if not index.kind]
    return column == table.key or column in leading


def _sorted(tables: Mapping[str, Table]) -> list[Table]:
    """Tables after those that they reference."""
    graph = {
        name: [key.table for key in table.foreign_keys if key.table in tables and key.table != name]
        for name, table in tables.items()
    }
    return [tables[name] for name in TopologicalSorter(graph).static_order()]
