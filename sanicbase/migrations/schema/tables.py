"""A table as a database has it: plain values, which a migration records as the state of the models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["Column", "ForeignKey", "Index", "Schema", "Table"]


@dataclass(frozen=True)
class Column:
    """A column. `default` and `filling` are SQL; `generated` is the definition of a generated key after its name."""

    name: str
    type: str
    null: bool = False
    default: str = ""
    """The default in the database."""
    filling: str = ""
    """The value of existing rows in a new column: the model's default in Python."""
    generated: str = ""
    comment: str = ""

    @property
    def identity(self) -> tuple[str, str, bool, str, str, str]:
        """What distinguishes two columns for a database."""
        return self.name, self.type, self.null, self.default, self.generated, self.comment


@dataclass(frozen=True)
class Index:
    """An index, or a unique constraint. Expressions are in parentheses among the columns."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    constraint: bool = False
    """Whether it is a part of the table, and not a separate index."""
    kind: str = ""
    """GIN, FULLTEXT and the like."""
    extra: str = ""
    """The options after the columns: ` WHERE …`."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What distinguishes two indexes besides their names."""
        return self.columns, self.unique, self.constraint, self.kind, self.extra


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of one column to a column of a table."""

    name: str
    column: str
    table: str
    to_column: str
    on_delete: str
    schema: str | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """What distinguishes two foreign keys besides their names."""
        return self.column, self.schema, self.table, self.to_column, self.on_delete


@dataclass(frozen=True)
class Table:
    """A table with all its parts."""

    name: str
    columns: tuple[Column, ...]
    key: str = ""
    """The column that is the primary key."""
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    comment: str = ""
    schema: str | None = None
    model: str = ""
    """The model: `shop.Goods`; empty for a many-to-many table."""

    def column(self, name: str) -> Column | None:
        """The column with that name."""
        return next((column for column in self.columns if column.name == name), None)

    def renamed(self, name: str) -> Table:
        """The table with another name."""
        references = tuple(
            replace(key, table=name) if (key.table, key.schema) == (self.name, self.schema) else key
            for key in self.foreign_keys
        )
        return replace(self, name=name, foreign_keys=references)

    def with_column_renamed(self, old: str, new: str) -> Table:
        """The table with a column renamed."""
        return replace(
            self,
            columns=tuple(replace(part, name=new) if part.name == old else part for part in self.columns),
            key=new if self.key == old else self.key,
            indexes=tuple(
                replace(part, columns=tuple(new if name == old else name for name in part.columns))
                for part in self.indexes
            ),
            foreign_keys=tuple(replace(part, column=new) if part.column == old else part for part in self.foreign_keys),
        )

    def to_json(self) -> dict[str, Any]:
        """The table in JSON form."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Table:
        """The table from its JSON form."""
        return cls(
            **{
                **data,
                "columns": tuple(Column(**part) for part in data["columns"]),
                "indexes": tuple(Index(**{**part, "columns": tuple(part["columns"])}) for part in data["indexes"]),
                "foreign_keys": tuple(ForeignKey(**part) for part in data["foreign_keys"]),
            }
        )


Schema = Mapping[str, Table]
"""The tables of one label by name."""
